/**
 * The client's class without the package's entry, which picks its fetch by a top-level `await` and so cannot be loaded
 * by a CommonJS program (ERR_REQUIRE_ASYNC_MODULE). Node 20 has all three parts built in.
 */
declare module 'seq-logging/seq_logger.js' {
  import type { Logger } from 'seq-logging';
  export function DefineLogger(
    blob: typeof Blob,
    fetchFunction: typeof fetch,
    abortController: typeof AbortController,
  ): typeof Logger;
}
