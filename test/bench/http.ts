import http from 'node:http';

const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });

/** One request over a kept connection. @throws when the answer has another status than expected */
export function send(
  method: string,
  url: string,
  token: string,
  expected: number,
  body?: object,
): Promise<Record<string, unknown>> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const request = http.request(
      url,
      {
        method,
        agent,
        headers: {
          authorization: `Bearer ${token}`,
          ...(text === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          const answer = Buffer.concat(chunks).toString();
          if (response.statusCode === expected)
            resolve(answer === '' ? {} : (JSON.parse(answer) as Record<string, unknown>));
          else reject(new Error(`${method} ${url}: ${response.statusCode} ${answer}`));
        });
        response.on('error', reject);
      },
    );
    request.on('error', reject);
    request.end(text);
  });
}
