import { openLab } from '../../boot/lab/lab.ts';

// Opens a lab with a machine in it and holds it until it is killed: for the test beside it.
await using lab = await openLab({ name: 'held', accelerator: 'tcg' });
const guest = await lab.startGuest({ name: 'held', mac: '52:54:00:00:00:99', memoryMiB: 64 });
const { netns, folder } = lab;
process.stdout.write(`${JSON.stringify({ netns, folder, guestPid: guest.pid })}\n`);
await guest.ended;
