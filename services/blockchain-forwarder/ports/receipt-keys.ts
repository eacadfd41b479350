import type { JsonWebKey } from 'node:crypto';
import type { SigningKey } from '../domain/receipt-signature';

/** The keys that sign receipts, or did. */
export interface ReceiptKeys {
  /** Undefined where none is configured. @throws AppError `ledger.key_unavailable` */
  signing(): Promise<SigningKey | undefined>;
  /** Public halves of those that sign, or did. @throws as signing */
  published(): Promise<readonly JsonWebKey[]>;
}
