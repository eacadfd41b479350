import http from 'node:http';

const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });

type Fields = Record<string, unknown>;

/** One request over a kept connection. @throws when the answer has another status than expected */
export async function send(
  method: string,
  url: string,
  token: string,
  expected: number,
  body?: object,
): Promise<Fields> {
  return (await request(method, url, token, expected, body)) as Fields;
}

export async function sendList(url: string, token: string): Promise<Fields[]> {
  return (await request('GET', url, token, 200)) as Fields[];
}

function request(method: string, url: string, token: string, expected: number, body?: object): Promise<unknown> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const sent = http.request(
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
          if (response.statusCode === expected) resolve(answer === '' ? {} : JSON.parse(answer));
          else reject(new Error(`${method} ${url}: ${response.statusCode} ${answer}`));
        });
        response.on('error', reject);
      },
    );
    sent.on('error', reject);
    sent.end(text);
  });
}
