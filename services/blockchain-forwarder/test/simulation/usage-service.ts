import type { Scheduler } from '../../../../shared/testing/simulation/scheduler';
import type { UsageRecord } from '../../domain/usage-record';
import type { Content } from './content';
import { textOf } from './uses';
import type { Answer } from './web';

/** The platform's BlockchainService, which knows a record again by its hash. */
export class UsageService {
  readonly accepted = new Map<string, UsageRecord>();
  readonly refused = new Set<string>();
  private readonly given: { usageHash: string; metadata: UsageRecord }[] = [];
  /** Probability of a request that fails. */
  failing = 0;

  constructor(
    private readonly scheduler: Scheduler,
    private readonly refusing: number,
  ) {}

  /** What it was given since this was asked last. */
  takeGiven(): { usageHash: string; metadata: UsageRecord }[] {
    return this.given.splice(0);
  }

  readonly site = (body: unknown): Answer => {
    const { usageHash, metadata } = body as { usageHash: string; metadata: UsageRecord };
    const { scheduler } = this;
    if (scheduler.chance(this.failing)) {
      return scheduler.pick<Answer>([
        { status: 500, body: 'something is wrong' },
        { status: 429, headers: { 'retry-after': '1' }, body: '' },
        { status: 200, body: 'well done' },
        { status: 302, headers: { location: 'http://elsewhere/' }, body: '' },
      ]);
    }
    if (parseInt(metadata.id.slice(1, 5), 16) / 0x1_0000 < this.refusing) {
      this.refused.add(metadata.id);
      return { status: 422, body: 'not to our taste' };
    }
    this.accepted.set(usageHash, metadata);
    this.given.push({ usageHash, metadata });
    return { status: 201, body: { receipt: usageHash.slice(2, 10) } };
  };
}

/** What the service was given, beside what is stored. */
export function faultOfService(service: UsageService, content: Content): string | undefined {
  for (const { usageHash, metadata } of service.takeGiven()) {
    const stored = content.usages.get(metadata.id);
    if (stored?.usageHash !== usageHash || textOf(stored.record) !== textOf(metadata))
      return `${metadata.id} came otherwise than it is stored`;
  }
  return undefined;
}
