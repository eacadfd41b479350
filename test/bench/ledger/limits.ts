/** What holds back what is missed. */
export const LIMITS = { ingest: '' };
