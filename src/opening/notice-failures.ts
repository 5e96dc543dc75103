/** A `Connect` that also tells why a link could not be opened or broke, and when one was. */
import type { Connect } from '../transport/transport.ts';

export function noticeFailures(
  connect: Connect,
  onFailure: (error: Error) => void,
  onOpen: () => void,
): Connect {
  return (url, events) =>
    connect(url, {
      onOpen() {
        onOpen();
        events.onOpen();
      },
      onMessage: (data, isBinary, hasMore) => events.onMessage(data, isBinary, hasMore),
      onPong: () => events.onPong(),
      onDrain: () => events.onDrain(),
      onClose(info) {
        if (info.error !== undefined) onFailure(info.error);
        events.onClose(info);
      },
    });
}
