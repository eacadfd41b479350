import type { ReadinessProbe } from '../ports/readiness-probe';

export class HttpReadinessProbe implements ReadinessProbe {
  async serves(url: string, timeoutMs: number): Promise<boolean> {
    try {
      const response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(timeoutMs) });
      await response.body?.cancel();
      return response.status < 500;
    } catch {
      return false; // refused, reset, too slow: not ready yet, which is an answer and no failure
    }
  }
}
