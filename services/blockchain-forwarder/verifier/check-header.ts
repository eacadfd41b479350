import { checked, unchecked, type Check } from '../domain/check-receipt';
import { partsOf, type Receipt } from '../domain/receipt';
import { faultOfLogs } from './anchor-event';
import { headerOf, receiptsOf, type Header } from './ethereum-block';

/**
 * What a block's header, which is believed, says of where a receipt is anchored. The header holds a root over all that
 * contracts told in the block: with the block's receipts, which need not be believed, the anchor is proved.
 * @param receipts null where there are none
 */
export function checkHeader(receipt: Receipt, given: { header: string; receipts: string | null }): Check[] {
  const { chainId, transaction, block, contract } = partsOf(receipt);
  const whatBlock = `the block ${block} is the one whose header you gave`;
  const whatAnchor = `the contract ${contract} anchored the batch in that block`;
  const beyond = [
    unchecked(`the chain is number ${chainId}, and the block is final there`, 'a header does not tell'),
    unchecked('that contract is the published one, which lets nobody change an anchor', 'a header does not tell'),
    unchecked(`it did so by the transaction ${transaction}`, 'neither header nor receipts name transactions'),
  ];
  let header: Header;
  try {
    header = headerOf(given.header);
  } catch (error) {
    const reason = `the header cannot be read: ${reasonOf(error)}`;
    return [unchecked(whatBlock, reason), unchecked(whatAnchor, reason), ...beyond];
  }
  const fault = header.hash === block ? null : `you gave that of block ${header.number}, ${header.hash}`;
  const blockCheck = checked(whatBlock, fault, `the header has this hash, and is that of block ${header.number}`);
  return [blockCheck, anchorCheck(whatAnchor, receipt, header, given.receipts), ...beyond];
}

function anchorCheck(what: string, receipt: Receipt, header: Header, receipts: string | null): Check {
  if (receipts === null) return unchecked(what, "the block's receipts were not given; a header holds only their root");
  try {
    const { root, logs } = receiptsOf(receipts);
    if (root !== header.receiptsRoot) return unchecked(what, 'the receipts are not those of the block');
    return checked(what, faultOfLogs(receipt, logs), "it is among the block's receipts, whose root the header holds");
  } catch (error) {
    return unchecked(what, `the receipts cannot be read: ${reasonOf(error)}`);
  }
}

function reasonOf(error: unknown): string {
  const { name, message } = error as Error;
  return name === 'ZodError' ? 'they are not as eth_getBlockByNumber or eth_getBlockReceipts tells them' : message;
}
