/**
 * The part of docs/stores.md about Apache, followed to the letter with Debian's own layout: in a namespace whose /etc and
 * /var are copies, so that nothing of the machine is changed. Needs root: .ci/apt.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { built, NODE, Place } from '../programs.ts';
import { recipe } from './recipes.ts';
import { AUTHORIZATION, PASSWORD } from './server.ts';

let place: Place;
beforeEach(() => {
  place = new Place();
});
afterEach(() => place.clean());

const HOST = `${NODE} ${built('clawchatd')}`;

/** What is the machine's and not the page's: the namespace, the site's file, and a host that waits until it is verified. */
function script(layers: string): string {
  const stores = [
    {
      kind: 'https',
      read: 'https://store.example.org/host.claw',
      write: 'https://store.example.org/host.claw',
      pin: 'PIN',
      headers: { authorization: AUTHORIZATION },
    },
  ];
  return `
mount -t tmpfs tmpfs ${layers}
for name in etc var; do
  mkdir ${layers}/$name ${layers}/$name.work
  mount -t overlay overlay -o lowerdir=/$name,upperdir=${layers}/$name,workdir=${layers}/$name.work /$name
done
ip link set lo up
echo '127.0.0.1 store.example.org' >> /etc/hosts
mkdir -p host && chmod 700 host
pin=$(${recipe('certificate', {}).trim()}
)
${recipe('password', { '-apr1': `-apr1 ${PASSWORD}` })}
${recipe('apache-files', {})}
cp site /etc/apache2/sites-available/clawchat-store.conf
${recipe('apache-start', { 'systemctl reload apache2': 'apachectl start' })}
install -m 600 /dev/null host/stores.json
echo '${JSON.stringify(stores)}' | sed "s/PIN/$pin/" > host/stores.json
${HOST} --data host --listen 127.0.0.1 > ready 2> log &
until grep -q record-published log; do sleep 0.1; done
${HOST} status --data host
ls /var/lib/clawchat-store
`;
}

test('a store in the Apache of Debian takes and gives the file', () => {
  writeFileSync(place.path('site'), recipe('apache', {}));
  const layers = place.path('layers');
  mkdirSync(layers);
  // Whatever is left of it dies with its namespace.
  const within = ['unshare', '--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const said = execFileSync(
    'timeout',
    ['-k', '5', '120', ...within, 'bash', '-euo', 'pipefail', '-c', script(layers)],
    { cwd: place.root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
  );
  expect(said).toMatch(/^store +https:\/\/store\.example\.org\/host\.claw: verified \d+ s ago$/m);
  expect(said.trim().split('\n')).toContain('host.claw');
});
