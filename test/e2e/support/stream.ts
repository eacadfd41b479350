/** Reads what an endpoint streams, until it ends or its service is stopped. */
export function readStream(url: string, token: string): { text: string; ended: boolean } {
  const state = { text: '', ended: false };
  const read = async (): Promise<void> => {
    const { body } = await fetch(url, { headers: { Authorization: `Bearer ${token}` } });
    for await (const chunk of body ?? []) state.text += Buffer.from(chunk as Uint8Array).toString();
    state.ended = true;
  };
  read().catch(() => undefined); // the service was stopped
  return state;
}
