import { ConflictError, type Sidecar, type StateOperation } from '../../../shared/dapr/sidecar';

/** @returns false, with nothing written, when somebody else was quicker with one of the rows */
export async function transacted(sidecar: Sidecar, operations: readonly StateOperation[]): Promise<boolean> {
  try {
    await sidecar.transact(operations);
    return true;
  } catch (error) {
    if (error instanceof ConflictError) return false;
    throw error;
  }
}
