import { toFunctionSelector, type Address } from 'viem';
import { startAnvil, type TestChain } from './support/anvil';
import {
  ANCHORER,
  NOBODY,
  NOMINEE,
  OWNER,
  STRANGER,
  ZERO_ROOT,
  creationCode,
  deployLedgerAnchor,
  type LedgerOnChain,
  type Write,
} from './support/ledger-anchor';

let chain: TestChain;
let ledger: LedgerOnChain;

beforeAll(async () => {
  chain = await startAnvil();
}, 30_000);
afterAll(() => chain.stop());
beforeEach(async () => {
  ledger = await deployLedgerAnchor(chain);
});

async function events(from: Address, name: Write, args: readonly unknown[] = []) {
  const receipt = await ledger.send(from, name, args as never);
  expect(receipt.status).toBe('success');
  return receipt.events;
}
const refusal = (from: Address, name: Write, args: readonly unknown[] = []) => ledger.refusal(from, name, args);

const first = [1n, `0x${'a1'.repeat(32)}`, 1n, 3, ZERO_ROOT];

it('when it is deployed, then deployer and named anchorer hold the roles, and two events say so', async () => {
  expect(ledger.deployment.events).toEqual([
    { name: 'OwnerChanged', args: { previous: NOBODY, next: OWNER } },
    { name: 'AnchorerChanged', args: { previous: NOBODY, next: ANCHORER } },
  ]);
  expect(await ledger.role('owner')).toBe(OWNER);
  expect(await ledger.role('anchorer')).toBe(ANCHORER);
  expect(await ledger.role('ownerNominee')).toBe(NOBODY);
  expect(await ledger.role('anchorerNominee')).toBe(NOBODY);
});

it('when it is deployed without an anchorer, then the deployment is refused', async () => {
  const deployment = ledger.reader.call({ account: OWNER, data: creationCode(NOBODY) });
  await expect(deployment).rejects.toThrow(toFunctionSelector('ZeroAddress()'));
});

describe.each([
  { role: 'Owner', holder: OWNER, field: 'owner', nomineeField: 'ownerNominee' },
  { role: 'Anchorer', holder: ANCHORER, field: 'anchorer', nomineeField: 'anchorerNominee' },
] as const)('replacing the $field in two steps', ({ role, holder, field, nomineeField }) => {
  const nominate: Write = `nominate${role}`;
  const withdraw: Write = `withdraw${role}Nomination`;
  const accept: Write = `accept${role}Nomination`;
  const nominated = (nominee: Address) => ({ name: `${role}Nominated`, args: { [field]: holder, nominee } });
  const withdrawn = (nominee: Address) => ({ name: `${role}NominationWithdrawn`, args: { nominee } });

  it('when the owner nominates and the nominee accepts, then the role changes at the second step', async () => {
    expect(await events(OWNER, nominate, [NOMINEE])).toEqual([nominated(NOMINEE)]);
    expect(await ledger.role(field)).toBe(holder);
    expect(await ledger.role(nomineeField)).toBe(NOMINEE);

    expect(await events(NOMINEE, accept)).toEqual([
      { name: `${role}Changed`, args: { previous: holder, next: NOMINEE } },
    ]);
    expect(await ledger.role(field)).toBe(NOMINEE);
    expect(await ledger.role(nomineeField)).toBe(NOBODY);
    expect(await refusal(NOMINEE, accept)).toEqual({ name: 'NotNominated', args: [NOMINEE] });
  });

  it('when another than the owner nominates or withdraws, then it is refused', async () => {
    await events(OWNER, nominate, [NOMINEE]);
    for (const caller of [ANCHORER, NOMINEE, STRANGER]) {
      expect(await refusal(caller, nominate, [STRANGER])).toEqual({ name: 'NotOwner', args: [caller] });
      expect(await refusal(caller, withdraw)).toEqual({ name: 'NotOwner', args: [caller] });
    }
    expect(await ledger.role(nomineeField)).toBe(NOMINEE);
  });

  it('when another than the nominee accepts, the owner too, then it is refused', async () => {
    for (const caller of [OWNER, NOMINEE, NOBODY])
      expect(await refusal(caller, accept)).toEqual({ name: 'NotNominated', args: [caller] });
    await events(OWNER, nominate, [NOMINEE]);
    for (const caller of [OWNER, ANCHORER, STRANGER])
      expect(await refusal(caller, accept)).toEqual({ name: 'NotNominated', args: [caller] });
    expect((await ledger.send(STRANGER, accept, [])).status).toBe('reverted');
    expect(await ledger.role(field)).toBe(holder);
  });

  it('when the nomination is withdrawn, then the nominee can no longer accept', async () => {
    await events(OWNER, nominate, [NOMINEE]);
    expect(await events(OWNER, withdraw)).toEqual([withdrawn(NOMINEE)]);
    expect(await refusal(NOMINEE, accept)).toEqual({ name: 'NotNominated', args: [NOMINEE] });
    expect(await refusal(OWNER, withdraw)).toEqual({ name: 'NothingNominated', args: [] });
  });

  it('when somebody else is nominated meanwhile, then the first nomination is withdrawn by that', async () => {
    await events(OWNER, nominate, [NOMINEE]);
    expect(await events(OWNER, nominate, [STRANGER])).toEqual([withdrawn(NOMINEE), nominated(STRANGER)]);
    expect(await refusal(NOMINEE, accept)).toEqual({ name: 'NotNominated', args: [NOMINEE] });
    await events(STRANGER, accept);
    expect(await ledger.role(field)).toBe(STRANGER);
  });

  it('when the zero address is nominated, then it is refused', async () => {
    expect(await refusal(OWNER, nominate, [NOBODY])).toEqual({ name: 'ZeroAddress', args: [] });
  });
});

it('when the anchorer has changed, then the new one anchors and the old one is refused', async () => {
  await events(OWNER, 'nominateAnchorer', [NOMINEE]);
  expect(await refusal(NOMINEE, 'anchor', first)).toEqual({ name: 'NotAnchorer', args: [NOMINEE] });
  await events(NOMINEE, 'acceptAnchorerNomination');
  expect(await refusal(ANCHORER, 'anchor', first)).toEqual({ name: 'NotAnchorer', args: [ANCHORER] });
  await events(NOMINEE, 'anchor', first);
  expect((await ledger.latest())[0]).toBe(1n);
});

it('when the anchorer changes between two batches, then the order goes on where it was', async () => {
  await events(ANCHORER, 'anchor', first);
  await events(OWNER, 'nominateAnchorer', [NOMINEE]);
  await events(NOMINEE, 'acceptAnchorerNomination');
  expect(await refusal(NOMINEE, 'anchor', first)).toEqual({ name: 'BatchKnown', args: [1n, 1n] });
  await events(NOMINEE, 'anchor', [2n, `0x${'b2'.repeat(32)}`, 4n, 1, first[1]]);
});

it('when the owner has changed, then the old one can do nothing, and the anchorer it had nominated falls', async () => {
  await events(OWNER, 'nominateAnchorer', [STRANGER]);
  await events(OWNER, 'nominateOwner', [NOMINEE]);
  expect(await events(NOMINEE, 'acceptOwnerNomination')).toEqual([
    { name: 'OwnerChanged', args: { previous: OWNER, next: NOMINEE } },
    { name: 'AnchorerNominationWithdrawn', args: { nominee: STRANGER } },
  ]);
  expect(await refusal(STRANGER, 'acceptAnchorerNomination')).toEqual({ name: 'NotNominated', args: [STRANGER] });
  for (const name of ['nominateOwner', 'nominateAnchorer'] as const)
    expect(await refusal(OWNER, name, [STRANGER])).toEqual({ name: 'NotOwner', args: [OWNER] });
  await events(NOMINEE, 'nominateAnchorer', [STRANGER]);
  await events(ANCHORER, 'anchor', first);
});
