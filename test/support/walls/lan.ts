// A machine on the farmer's LAN, in the namespace that it is started in: answers on one port, TCP
// and UDP, on every address it has, and says who asked.
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

const PORT = 7;
createServer((socket) => {
  console.log(`TCP ${socket.remoteAddress}`);
  // Whoever only tries ends it at once.
  socket.on('error', () => undefined);
  socket.end('lan\n');
}).listen(PORT, '::', () => console.log('listens'));
const udp = createSocket('udp6');
udp.on('message', (_bytes, { address, port }) => {
  console.log(`UDP ${address}`);
  udp.send('lan', port, address);
});
udp.bind(PORT, '::', () => {
  udp.addMembership('ff02::1', '::%wire');
});
