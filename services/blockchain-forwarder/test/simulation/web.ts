import { AppError } from '../../../../shared/errors';
import type { Network } from '../../../../shared/testing/simulation/network';
import type { Life } from '../../../../shared/testing/simulation/scheduler';

export interface Answer {
  status: number;
  headers?: Record<string, string>;
  /** Text that is sent as it is, or what is sent as JSON. */
  body: unknown;
}

/** Answers a request of which only the body makes a difference. */
export type Site = (body: unknown) => Answer;

/** HTTP as `fetch` has it, over a network whose messages may be late or lost. */
export class Web {
  private readonly lives = new Map<string, Life>();

  /** @param sites by host */
  constructor(
    private readonly network: Network,
    private readonly sites: Record<string, Site>,
  ) {}

  /** @returns what stands for the process in its requests: as path, or as token */
  enter(life: Life): string {
    const name = life.name.replaceAll(' ', '-');
    this.lives.set(name, life);
    return name;
  }

  readonly fetch = async (address: string | URL, init: RequestInit): Promise<Response> => {
    const url = new URL(address);
    const token = new Headers(init.headers).get('authorization')?.replace('Bearer ', '');
    const life = this.lives.get(token ?? url.pathname.slice(1));
    const site = this.sites[url.host];
    if (!life || !site) throw new Error(`nobody asks ${url.href}`);
    const post = async () => site(JSON.parse(init.body as string));
    try {
      return responseOf(await this.network.connect({ [url.host]: post }, life)[url.host]!());
    } catch (error) {
      throw error instanceof AppError ? new TypeError('fetch failed') : error;
    }
  };
}

/** Made by hand: the real one is read by the clock of the machine. */
function responseOf({ status, headers, body }: Answer): Response {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  async function* bytes() {
    yield Buffer.from(text);
  }
  const response = { status, ok: status < 300, headers: new Headers(headers), body: bytes() };
  return { ...response, json: async () => JSON.parse(text) as unknown } as unknown as Response;
}
