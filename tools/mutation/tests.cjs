/** The tests of a core as one file: each mutant loads them and their packages once, not once a file. */
for (const file of globalThis.TESTS) globalThis.describe(file, () => void require(`../../${file}`));
