/** SOCKS 5 as bytes (RFC 1928); the messages are written by hand. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  SOCKS_STATUS,
  greetingAnswer,
  readGreeting,
  readRequest,
  requestAnswer,
} from '../../src/forward/socks-codec.ts';
import { forSeeds, randomBuffer, randomInteger } from '../support/random.ts';

const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');

describe('greeting', () => {
  test('a client that takes no authentication is accepted, among other methods too', () => {
    assert.deepEqual(readGreeting(bytes('050100')), { value: true, usedBytes: 3 });
    assert.deepEqual(readGreeting(bytes('05030201' + '00' + 'ff')), { value: true, usedBytes: 5 });
    assert.equal(greetingAnswer(true).toString('hex'), '0500');
  });

  test('one that wants a password is not, nor one of SOCKS 4 or HTTP', () => {
    assert.deepEqual(readGreeting(bytes('050102')), { value: false, usedBytes: 3 });
    assert.equal(readGreeting(bytes('0401005000000001'))?.value, false);
    assert.equal(readGreeting(Buffer.from('GET / HTTP/1.1'))?.value, false);
    assert.equal(greetingAnswer(false).toString('hex'), '05ff');
  });

  test('a part of one is waited for', () => {
    for (const hex of ['', '05', '0502', '050200']) assert.equal(readGreeting(bytes(hex)), undefined, hex);
  });
});

describe('request', () => {
  const cases = [
    ['an IPv4 address', '050100010a0000051538', { host: '10.0.0.5', port: 5432 }],
    ['a name', '050100030b64622e696e7465726e616c1538', { host: 'db.internal', port: 5432 }],
    [
      'an IPv6 address',
      '05010004fd0000000000000000000000000000050050',
      { host: 'fd00:0:0:0:0:0:0:5', port: 80 },
    ],
  ] as const;
  for (const [name, hex, destination] of cases) {
    test(`${name} is read, whole and no earlier`, () => {
      const whole = bytes(hex);
      assert.deepEqual(readRequest(Buffer.concat([whole, Buffer.from('ahead')])), {
        value: destination,
        usedBytes: whole.length,
      });
      for (let length = 0; length < whole.length; length += 1) {
        assert.equal(readRequest(whole.subarray(0, length)), undefined, `${length} bytes`);
      }
    });
  }

  const refused = [
    ['BIND', '050200010a0000051538', SOCKS_STATUS.COMMAND_UNKNOWN],
    ['UDP ASSOCIATE', '050300010a0000051538', SOCKS_STATUS.COMMAND_UNKNOWN],
    ['an unknown kind of address', '050100020a0000051538', SOCKS_STATUS.ADDRESS_UNKNOWN],
    ['port 0', '050100010a0000050000', SOCKS_STATUS.ADDRESS_UNKNOWN],
    ['a name with a line break', '0501000303610a621538', SOCKS_STATUS.ADDRESS_UNKNOWN],
    ['another version', '040100010a0000051538', SOCKS_STATUS.FAILED],
  ] as const;
  for (const [name, hex, status] of refused) {
    test(`${name} is refused with ${status}`, () => assert.equal(readRequest(bytes(hex))?.value, status));
  }

  test('the answer has ten bytes', () => {
    assert.equal(requestAnswer(SOCKS_STATUS.REFUSED).toString('hex'), '05050001000000000000');
  });

  test('random bytes give a destination, a refusal or a wish for more, nothing else', () => {
    forSeeds(300, (random) => {
      const data = randomBuffer(random, randomInteger(random, 0, 40));
      const part = readRequest(data);
      assert.equal(part === undefined || part.usedBytes <= data.length, true);
      readGreeting(data);
    });
  });
});
