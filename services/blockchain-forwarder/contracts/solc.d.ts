/** The part of solc-js that compile.ts uses; the package ships no types of its own. */
declare module 'solc' {
  const solc: { version(): string; compile(standardJsonInput: string): string };
  export default solc;
}
