import { readFileSync } from 'node:fs';
import { compileContract, contractNames, sourceFile } from '../contracts/compile';
import { artifactOf } from './support/artifacts';

describe.each(contractNames)('the checked-in %s', (name) => {
  it('when the source is compiled again, then ABI and bytecode are those of the repository', async () => {
    const { default: solc } = await import('solc');
    expect(compileContract(solc, name, readFileSync(sourceFile(name), 'utf8'))).toEqual(artifactOf(name));
  }, 60_000);

  it('when only a comment of the source changes, then the bytecode stays', async () => {
    const { default: solc } = await import('solc');
    const source = `// another comment\n${readFileSync(sourceFile(name), 'utf8')}`;
    expect(compileContract(solc, name, source).bytecode).toBe(artifactOf(name).bytecode);
  }, 60_000);
});

it('when the source gives a warning, then nothing is compiled, and the compiler says why', async () => {
  const { default: solc } = await import('solc');
  const source = 'pragma solidity ^0.8.28; contract LedgerAnchor {}';
  expect(() => compileContract(solc, 'LedgerAnchor', source)).toThrow('SPDX license identifier not provided');
}, 60_000);
