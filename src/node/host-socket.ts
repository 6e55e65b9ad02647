/** A WebSocket of a host, which never says more than that it ends (spec/09-errors.md). */
import { WebSocket } from 'ws';

/** What `ws` would close with a code that tells why, this cuts. @impl HS-018~1, ER-003~1, ER-004~2 */
export class HostSocket extends WebSocket {
  override close(code?: number): void {
    if (code === undefined || code === 1000) super.close(code);
    else this.terminate();
  }
}
