import { allocationsOf, type Order, poolsOf, rememberedOf, requestsOf } from '../domain/pool-commands';
import { allocate, release } from './support/builders';

describe('the rows that an order touches', () => {
  const claims = [{ allocationId: 'a', poolId: 'p', capacity: 1 }];
  const key = { id: 'key', fingerprint: 'f' };
  const { allocation } = allocate({ id: 'a' });
  const group = { groupId: 'g', serviceId: 's', createdBy: 'me', claims };
  const usual = { pools: ['p'], allocations: ['a'], requests: [] as string[], remembered: [] as string[] };
  const orders: [Order, typeof usual][] = [
    [{ kind: 'allocate', poolId: 'p', allocation }, usual],
    [{ kind: 'allocate', poolId: 'p', allocation, waitSeconds: 0 }, usual],
    [
      { kind: 'allocate', poolId: 'p', allocation, waitSeconds: 5, idempotency: key },
      { ...usual, requests: ['a'], remembered: ['key'] },
    ],
    [
      { kind: 'allocate_group', ...group, idempotency: key },
      { ...usual, remembered: ['key'] },
    ],
    [{ kind: 'release_group', groupId: 'g', releasedBy: 'me', members: claims }, usual],
    [{ ...release('a'), poolId: 'p' }, usual],
    [{ kind: 'renew', poolId: 'p', allocationId: 'a', seconds: 1, forTask: false }, usual],
    [{ kind: 'expire', poolId: 'p', allocationId: 'a' }, usual],
    [{ kind: 'cancel', poolId: 'p', requestId: 'a', cancelledBy: 'me', forTask: false }, usual],
    [
      { kind: 'serve', poolId: 'p' },
      { ...usual, allocations: [] },
    ],
  ];

  // no order in a title: ids are drawn anew each time
  test.each(orders.map(([order, rows]) => [order.kind, order, rows] as const))('%s', (_, order, rows) => {
    expect({
      ...{ pools: poolsOf(order), allocations: allocationsOf(order) },
      ...{ requests: requestsOf(order), remembered: rememberedOf(order) },
    }).toEqual(rows);
  });
});
