/** Asks a container's program whether it serves. */
export interface ReadinessProbe {
  /** True when `url` answers below 500 within `timeoutMs`; redirects are not followed. Never throws. */
  serves(url: string, timeoutMs: number): Promise<boolean>;
}
