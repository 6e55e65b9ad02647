/** Reads a host's metrics, a value for each sample. */
import { get } from 'node:http';

/** What a host tells Prometheus on this port, by name and labels. */
export async function metrics(port: number): Promise<ReadonlyMap<string, number>> {
  const text = await new Promise<string>((resolve, reject) => {
    const request = get({ host: '127.0.0.1', port, path: '/metrics' }, response => {
      let body = '';
      response.on('data', (piece: Buffer) => {
        body += piece.toString();
      });
      response.on('end', () => resolve(body));
    });
    request.on('error', reject);
  });
  const samples = text.split('\n').filter(line => line !== '' && !line.startsWith('#'));
  return new Map(
    samples.map(line => [
      line.slice(0, line.lastIndexOf(' ')),
      Number(line.slice(line.lastIndexOf(' ') + 1)),
    ]),
  );
}
