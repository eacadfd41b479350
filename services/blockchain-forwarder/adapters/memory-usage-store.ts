import type { DeadLetter } from '../domain/dead-letter';
import type { Delivery } from '../domain/delivery';
import type { StoredUsage } from '../domain/usage-record';
import type { Page, UsageFilter, UsageStore, UsageWithDeliveries, VersionedDelivery } from '../ports/usage-store';

/** The store in memory, for tests; values are copied in and out, as through a real one. */
export class MemoryUsageStore implements UsageStore {
  private readonly usages = new Map<string, StoredUsage>();
  private readonly open = new Map<string, VersionedDelivery>();
  private readonly letters = new Map<string, DeadLetter>();
  private versions = 0;

  find(ids: readonly string[]): Promise<Map<string, StoredUsage>> {
    const found = ids.flatMap((id) => this.usages.get(id) ?? []);
    return answer(new Map(found.map((usage) => [usage.record.id, usage])));
  }

  insert(usages: readonly StoredUsage[], deliveries: readonly Delivery[]): Promise<boolean> {
    if (usages.some((usage) => this.usages.has(usage.record.id))) return answer(false);
    if (deliveries.some((delivery) => this.open.has(keyOf(delivery)))) return answer(false);
    for (const usage of usages) this.usages.set(usage.record.id, structuredClone(usage));
    for (const delivery of deliveries) this.put(delivery);
    return answer(true);
  }

  get(id: string): Promise<UsageWithDeliveries | null> {
    const usage = this.usages.get(id);
    return answer(usage ? this.withDeliveries(usage) : null);
  }

  list(filter: UsageFilter, page: Page): Promise<UsageWithDeliveries[]> {
    const rows = [...this.usages.values()].filter((usage) => fits(usage, filter));
    const at = (usage: StoredUsage) => ({ at: usage.record.endedAt, id: usage.record.id });
    return answer(paged(rows, at, page).map((usage) => this.withDeliveries(usage)));
  }

  due(
    sink: string,
    times: { now: string; until: string },
    limit: number,
  ): Promise<(VersionedDelivery & { usage: StoredUsage })[]> {
    const rows = [...this.open.values()]
      .filter(({ delivery }) => delivery.sink === sink && delivery.state !== 'delivered')
      .filter(({ delivery }) => delivery.nextAttemptAt <= (delivery.claim === null ? times.until : times.now))
      .sort((a, b) => a.delivery.nextAttemptAt.localeCompare(b.delivery.nextAttemptAt))
      .slice(0, limit);
    return answer(
      rows.flatMap((row) => {
        const usage = this.usages.get(row.delivery.usageId);
        return usage ? [{ ...row, usage }] : [];
      }),
    );
  }

  deliveries(sink: string, usageIds: readonly string[]): Promise<Map<string, VersionedDelivery>> {
    const rows = usageIds.flatMap((usageId) => this.open.get(keyOf({ sink, usageId })) ?? []);
    return answer(new Map(rows.map((row) => [row.delivery.usageId, row])));
  }

  update(deliveries: readonly VersionedDelivery[]): Promise<boolean> {
    if (deliveries.some((row) => this.open.get(keyOf(row.delivery))?.version !== row.version)) return answer(false);
    for (const { delivery } of deliveries) this.put(delivery);
    return answer(true);
  }

  backlog(): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const { delivery } of this.open.values()) {
      if (delivery.state !== 'delivered') counts[delivery.sink] = (counts[delivery.sink] ?? 0) + 1;
    }
    return answer(counts);
  }

  keepDeadLetters(letters: readonly DeadLetter[]): Promise<void> {
    for (const letter of letters) this.letters.set(letter.id, structuredClone(letter));
    return answer(undefined);
  }

  listDeadLetters(page: Page): Promise<DeadLetter[]> {
    return answer(paged([...this.letters.values()], (letter) => ({ at: letter.receivedAt, id: letter.id }), page));
  }

  private withDeliveries(usage: StoredUsage): UsageWithDeliveries {
    const rows = [...this.open.values()].filter(({ delivery }) => delivery.usageId === usage.record.id);
    return { usage, deliveries: rows.map(({ delivery }) => delivery) };
  }

  private put(delivery: Delivery): void {
    this.versions += 1;
    this.open.set(keyOf(delivery), { delivery: structuredClone(delivery), version: String(this.versions) });
  }
}

function answer<T>(value: T): Promise<T> {
  return Promise.resolve(structuredClone(value));
}

function keyOf({ sink, usageId }: { sink: string; usageId: string }): string {
  return `${sink}:${usageId}`;
}

function fits({ record }: StoredUsage, filter: UsageFilter): boolean {
  return (
    (filter.userId === undefined || record.userId === filter.userId) &&
    (filter.serviceType === undefined || record.serviceType === filter.serviceType) &&
    (filter.kind === undefined || record.kind === filter.kind) &&
    (filter.from === undefined || record.endedAt >= filter.from) &&
    (filter.to === undefined || record.endedAt < filter.to)
  );
}

function paged<T>(rows: T[], keyset: (row: T) => { at: string; id: string }, { limit, after }: Page): T[] {
  const order = (row: T) => `${keyset(row).at} ${keyset(row).id}`;
  return rows
    .filter((row) => after === undefined || order(row) < `${after.at} ${after.id}`)
    .sort((a, b) => (order(a) < order(b) ? 1 : -1))
    .slice(0, limit);
}
