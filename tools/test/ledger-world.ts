import { randomBytes, randomUUID } from 'node:crypto';
import { eventOf, toReleasedRow } from '../../services/allocation/adapters/rows';
import { ZERO_ROOT } from '../../services/blockchain-forwarder/domain/batch';
import { canonicalHash } from '../../services/blockchain-forwarder/domain/canonical-hash';
import { leafOf } from '../../services/blockchain-forwarder/domain/leaf';
import { appended, EMPTY_LEDGER, type LedgerHead } from '../../services/blockchain-forwarder/domain/ledger-tree';
import { merkleTree, rootOf } from '../../services/blockchain-forwarder/domain/merkle';
import {
  usageRecordOf,
  type EndOfUse,
  type UsageRecord,
} from '../../services/blockchain-forwarder/domain/usage-record';
import { toTaskRow } from '../../services/task-runner/adapters/task-row';
import { endedEvent } from '../../services/task-runner/application/task-events';
import { newTask, type Task } from '../../services/task-runner/domain/task';
import { auditRows, type Audit, type AuditOptions } from '../ledger-audit/audit';
import type { Look } from '../ledger-audit/chain';
import { eventsIn, type Pending } from '../ledger-audit/events';
import { Findings } from '../ledger-audit/findings';
import type { Rows } from '../ledger-audit/rows';

export const NOW = new Date('2026-11-23T10:45:00.000Z');
export const POOL = 'b7a1c1de-9d0f-4d11-8c62-52f0a3a0d7aa';
const USER = '4f1d3b52-0c9e-4c55-8d67-0d5b1f1f6a01';
const SERVICE = 'c0ffee00-1111-4222-8333-444455556666';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- rows are looked into, and broken, by tests
type Json = any;

/** Rows of all services as they would lie in the database, made by the services' own rules; a test breaks some of them. */
export class LedgerWorld implements Rows {
  readonly rows = new Map<string, Json>();
  /** Ids of the records, in the order of their making. */
  readonly ids: string[] = [];
  /** Messages that the broker holds. */
  readonly broker: unknown[] = [];
  private head: LedgerHead = EMPTY_LEDGER;

  get(keys: readonly string[]): Promise<Map<string, unknown>> {
    return Promise.resolve(new Map(keys.flatMap((key) => (this.rows.has(key) ? [[key, this.rows.get(key)]] : []))));
  }

  async *each(prefix: string): AsyncIterable<ReadonlyMap<string, unknown>> {
    const found = [...this.rows].filter(([key]) => key.startsWith(prefix));
    for (let at = 0; at < found.length; at += 2) yield new Map(found.slice(at, at + 2));
  }

  /** A task that ran from 9:00 to 10:30 on 2 units, and what it held; @returns its end */
  task(given: Partial<Task> = {}): EndOfUse {
    const created = {
      id: randomUUID(),
      userId: USER,
      serviceType: 'jupyter',
      createdAt: '2026-11-23T08:59:00.000Z',
      createdBy: USER,
      secret: 's',
      poolId: POOL,
      allocationId: randomUUID(),
      capacity: 2,
      requestKey: null,
      trace: null,
    };
    const task: Task = {
      ...newTask(created),
      status: 'Stopped',
      startTime: '2026-11-23T09:00:00.000Z',
      stopTime: '2026-11-23T10:30:00.000Z',
      capacityState: 'returned',
      outcome: {
        status: 'Stopped',
        reason: 'stopped_by_user',
        actor: USER,
        at: '2026-11-23T10:29:59.000Z',
        finishedAt: null,
        exitCode: 0,
        problem: null,
      },
      ...given,
    };
    this.rows.set(`task-runner||task:${task.id}`, toTaskRow(task));
    this.allocation({ id: task.allocationId, capacity: task.capacity, taskId: task.id });
    return { ...endedEvent(task), source: 'task-runner' } as EndOfUse;
  }

  /** 4 units from 9:30 to 10:00; @returns its end */
  allocation(given: { id?: string; capacity?: number; taskId?: string | null; releasedAt?: string } = {}): EndOfUse {
    const { id = randomUUID(), capacity = 4, taskId = null, releasedAt = '2026-11-23T10:00:00.000Z' } = given;
    const allocation = {
      id,
      poolId: POOL,
      serviceId: SERVICE,
      capacity,
      createdAt: '2026-11-23T09:30:00.000Z',
      createdBy: USER,
      taskId,
      groupId: null,
      lease: null,
      updatedAt: '2026-11-23T09:30:00.000Z',
    };
    const end = { releasedAt, releasedBy: USER, reason: 'released' };
    this.rows.set(`allocation||allocation:${id}`, toReleasedRow({ ...allocation, ...end }));
    return eventOf({ kind: 'released', allocation, ...end } as Parameters<typeof eventOf>[0]) as EndOfUse;
  }

  /** Closes a batch of the records of these ends. */
  async batch(...ends: EndOfUse[]): Promise<void> {
    const { id, entries } = await this.chunk(ends.map((end) => usageRecordOf(end)!));
    await this.close(id, entries);
  }

  async batchOf(...records: UsageRecord[]): Promise<void> {
    const { id, entries } = await this.chunk(records);
    await this.close(id, entries);
  }

  /** Records that wait for their batch. */
  async waiting(receivedAt: string, ...ends: EndOfUse[]): Promise<string> {
    const { id, entries } = await this.chunk(ends.map((end) => usageRecordOf(end)!));
    this.rows.set(`blockchain-forwarder||unbatched:${id}`, { id, receivedAt, bytes: 1, entries });
    return id;
  }

  usage(index: number): Json {
    return this.rows.get(`blockchain-forwarder||usage:${this.ids[index]}`);
  }

  forwarder(key: string): Json {
    return this.rows.get(`blockchain-forwarder||${key}`);
  }

  async audit(options: Partial<AuditOptions> = {}, look: Look | null = null): Promise<Audit> {
    const pending: Pending = {
      events: async function* (this: LedgerWorld) {
        for (const message of this.broker) yield* eventsIn(JSON.stringify(message));
      }.bind(this),
    };
    const outside = { look, fileSize: null, pending };
    return auditRows(this, new Findings(), outside, { now: NOW, maxAgeMs: 3_600_000, ...options });
  }

  /** What is wrong, as an audit tells it. */
  async faults(options: Partial<AuditOptions> = {}): Promise<string[]> {
    const { findings } = await this.audit(options);
    return findings.faults.map(({ code, text }) => `${code}: ${text}`);
  }

  private async chunk(records: readonly UsageRecord[]): Promise<{ id: string; entries: [string, string][] }> {
    const id = randomUUID();
    const entries: [string, string][] = [];
    for (const record of records) {
      const salt = randomBytes(16);
      const leaf = Buffer.from(await leafOf(record, salt)).toString('base64url');
      const usageHash = await canonicalHash(record);
      const row = { record, salt: salt.toString('base64url'), leaf, usageHash, chunk: id };
      this.rows.set(`blockchain-forwarder||usage:${record.id}`, structuredClone(row));
      this.ids.push(record.id);
      entries.push([record.id, leaf]);
    }
    return { id, entries };
  }

  private async close(chunk: string, entries: [string, string][]): Promise<void> {
    const leaves = entries.map(([, leaf]) => Buffer.from(leaf, 'base64url'));
    const batch = {
      batchId: this.head.batchId + 1,
      root: `0x${rootOf(merkleTree(leaves)).toString('hex')}`,
      firstSequence: this.head.nextSequence,
      count: leaves.length,
      previousRoot: this.head.batchId === 0 ? ZERO_ROOT : this.head.root,
      closedAt: '2026-11-23T10:31:00.000Z',
    };
    const { head, nodes } = await appended(this.head, batch);
    this.head = head;
    this.rows.set(`blockchain-forwarder||batch:${batch.batchId}`, { ...batch, chunks: [chunk], nodes });
    this.rows.set(`blockchain-forwarder||leaves:${batch.batchId}`, entries);
    this.rows.set('blockchain-forwarder||ledger-head', structuredClone(head));
  }
}

/** Five batches: tasks, a failed one, allocations; all in order. */
export async function soundWorld(): Promise<LedgerWorld> {
  const world = new LedgerWorld();
  await world.batch(world.task(), world.allocation());
  await world.batch(world.allocation());
  await world.batch(world.task(), world.task({ status: 'Error' }), world.allocation(), world.allocation());
  await world.batch(world.allocation());
  await world.batch(world.task());
  return world;
}
