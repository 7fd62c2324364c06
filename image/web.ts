import { join } from 'node:path';
import type { Folders } from './parts/pinned-tools.ts';
import type { TreeEntry } from './parts/tree.ts';

const PAGE = `<!doctype html>
<html lang="en">
<title>Zero-OS</title>
<h1>Hello from a Zero-OS container</h1>
<p>This page came through a tenant's own WireGuard network.</p>
</html>
`;

/** Where a container's root has to have a folder for what the node mounts there. */
const FOLDERS = ['/proc', '/sys', '/dev', '/tmp', '/run', '/etc'];

/**
 * The root file system of the sample deployment: busybox, which is server and client in one, and a
 * page. It is a tenant's image, not the node's: nothing of it is ever part of the system.
 */
export function webEntries(folders: Folders): TreeEntry[] {
  const busybox = join(folders.get('busybox-static') ?? '', 'usr/bin/busybox');
  return [
    ...FOLDERS.map((path): TreeEntry => ({ path, kind: 'folder' })),
    { path: '/bin/busybox', kind: 'file', source: busybox },
    ...['sh', 'httpd', 'wget', 'sleep'].map((name): TreeEntry => ({
      path: `/bin/${name}`,
      kind: 'link',
      target: 'busybox',
    })),
    { path: '/etc/hosts', kind: 'text', text: '' },
    { path: '/etc/resolv.conf', kind: 'text', text: '' },
    { path: '/www/index.html', kind: 'text', text: PAGE },
  ];
}
