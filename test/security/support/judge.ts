import Ajv2020, { type ValidateFunction } from 'ajv/dist/2020';
import addFormats from 'ajv-formats';
import type { WireAnswer } from './client';
import type { OpenApi, Operation, WireRequest } from './requests';

/** Codes of what the server itself refuses, before any route or on any that has a body. */
const OF_EVERY_ROUTE = ['route.not_found', 'request.malformed_path'];
/** A stream, or an answer that waits for what is to come: a client that hangs up has not seen its end. */
export const MAY_TAKE_LONG = /\/(events|logs|allocation_requests\/\{\w+\})$/;

/** Holds answers against what a service's document promises. */
export class Judge {
  readonly #ajv = addFormats.default(new Ajv2020({ strict: false, validateFormats: true }));
  readonly #validators = new Map<string, ValidateFunction>();

  constructor(private readonly document: OpenApi) {
    this.#ajv.addSchema({ ...document, $id: 'document' });
  }

  /** @returns what is wrong with the answer, in words; undefined when it is as promised */
  fault(
    path: string,
    request: WireRequest,
    answer: WireAnswer | undefined,
    markers: readonly string[],
  ): string | undefined {
    if (!answer) return MAY_TAKE_LONG.test(path) ? undefined : 'no answer in time';
    const { status, headers, text, cut } = answer;
    if (status >= 500) return `${status}: ${text}`;
    if (cut && !MAY_TAKE_LONG.test(path)) return 'the answer did not end';
    if (headers['x-powered-by'] !== undefined) return 'it tells what it is made with';
    if (headers['x-content-type-options'] !== 'nosniff' || headers['x-request-id'] === undefined)
      return 'headers are missing';
    if (headers['access-control-allow-origin'] !== undefined) return 'it opens itself to other origins';
    const operation = this.document.paths[path]![request.method.toLowerCase()]!;
    // who names an id may get it back in the words of a refusal
    const asked = `${request.path}${request.body ?? ''}${JSON.stringify(request.headers)}`;
    const leaked = markers.filter((marker) => text.includes(marker) && (status < 400 || !asked.includes(marker)));
    if (leaked.length > 0) return `it shows what belongs to another: ${leaked.join(', ')}`;
    return status < 400 ? this.#successFault(path, request, operation, answer) : this.#problemFault(operation, answer);
  }

  #successFault(
    path: string,
    { method }: WireRequest,
    { responses }: Operation,
    answer: WireAnswer,
  ): string | undefined {
    const { status, headers, text } = answer;
    const promised = responses[status];
    if (!promised) return `status ${status} is not in the document`;
    if (!promised.content) return text === '' ? undefined : `status ${status} carries something: ${text}`;
    const type = headers['content-type']?.split(';')[0] ?? '';
    const content = promised.content[type];
    if (!content) return `the media type ${type} is not in the document`;
    if (type !== 'application/json') return undefined;
    return this.#misfit(
      ['paths', path, method.toLowerCase(), 'responses', String(status), 'content', type, 'schema'],
      text,
    );
  }

  #problemFault({ responses }: Operation, { status, headers, text }: WireAnswer): string | undefined {
    if (!headers['content-type']?.startsWith('application/problem+json')) return `no problem document: ${text}`;
    const misfit = this.#misfit(['components', 'schemas', 'Problem'], text);
    if (misfit !== undefined) return misfit;
    const { code, errors } = JSON.parse(text) as { code: string; errors?: unknown[] };
    if (code === 'request.invalid' && !errors?.length) return 'no field is named';
    if (OF_EVERY_ROUTE.includes(code)) return undefined;
    const told = Object.entries(responses)
      .filter(([known]) => known === String(status) || known === 'default')
      .map(([, { description }]) => description)
      .join(' ');
    return told.includes(code) ? undefined : `the code ${code} with status ${status} is not in the document`;
  }

  #misfit(place: string[], text: string): string | undefined {
    const pointer = place.map((step) => encodeURIComponent(step.replace(/~/g, '~0').replace(/\//g, '~1'))).join('/');
    const validate = this.#validators.get(pointer) ?? this.#ajv.compile({ $ref: `document#/${pointer}` });
    this.#validators.set(pointer, validate);
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return `no JSON: ${text}`;
    }
    return validate(value) ? undefined : `${this.#ajv.errorsText(validate.errors)} in ${text}`;
  }
}
