import { createHash } from 'node:crypto';

/**
 * A UUID (version 8, RFC 9562 §5.8) that follows from a name: the same name gives the same id, after a crash too.
 * Used where doing a thing twice must be one thing, such as the event that tells of a task's end.
 */
export function uuidFromName(name: string): string {
  const hash = createHash('sha256').update(name).digest();
  hash.writeUInt8((hash.readUInt8(6) & 0x0f) | 0x80, 6);
  hash.writeUInt8((hash.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = hash.toString('hex', 0, 16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
