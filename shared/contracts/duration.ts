/**
 * An ISO 8601 duration in hours, minutes and seconds, which SQL's `interval` reads as well.
 * @param milliseconds whole milliseconds, at least 0
 * @returns for example `PT1H3M20S`, `PT0.25S`, `PT0S`
 */
export function isoDuration(milliseconds: number): string {
  if (!Number.isInteger(milliseconds) || milliseconds < 0) {
    throw new RangeError(`a duration is whole milliseconds of at least 0, not ${milliseconds}`);
  }
  const hours = Math.floor(milliseconds / 3_600_000);
  const minutes = Math.floor((milliseconds % 3_600_000) / 60_000);
  const seconds = (milliseconds % 60_000) / 1000;
  const parts = `${hours ? `${hours}H` : ''}${minutes ? `${minutes}M` : ''}${seconds ? `${seconds}S` : ''}`;
  return `PT${parts || '0S'}`;
}

/** From one RFC 3339 time to another; a clock that went backwards counts as no time at all. */
export function durationBetween(from: string, to: string): string {
  return isoDuration(Math.max(0, Date.parse(to) - Date.parse(from)));
}
