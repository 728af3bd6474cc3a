/// Which hint for which failure.
library;

import 'package:mothlight/io.dart';
import 'package:mothlight/mothlight.dart';
import 'package:mothlight/src/hints.dart';

import 'harness.dart';
import 'rig.dart';

void main() {
  for (final (url, reason, expected) in [
    (
      'http://127.0.0.1:5000',
      'Connection refused (OS Error: Connection refused, errno = 111)',
      'Android emulator and 127.0.0.1? Use 10.0.2.2 or '
          '`adb reverse tcp:5000 tcp:5000`',
    ),
    ('http://localhost', 'Connection refused, errno = 61', 'tcp:80 tcp:80'),
    (
      'http://10.0.2.2:5000',
      'Connection refused',
      'start the server on this machine, on port 5000',
    ),
    ('http://10.0.2.2:5000', 'Connection timed out', 'emulator alone'),
    ('http://192.168.1.7:5000', 'Connection refused', '--host 0.0.0.0'),
    ('http://mac.local:5000', 'No route to host', 'same Wi-Fi'),
    ('http://172.16.0.1', 'nothing came for 45.0 s', 'local network'),
    ('http://172.32.0.1', 'Network is unreachable', 'has a network'),
    ('https://api.test', "Failed host lookup: 'api.test'", 'INTERNET'),
    ('https://api.test', 'Connection refused', 'check host and port'),
    (
      'https://api.test:8443',
      'Connection failed (OS Error: Operation not permitted, errno = 1)',
      'com.apple.security.network.client',
    ),
    (
      'http://192.168.1.7:5000', // by package:http
      'ClientException with SocketException: Connection failed (OS Error: '
          'Operation not permitted, errno = 1), address = 192.168.1.7, '
          'port = 5000',
      'com.apple.security.network.client',
    ),
    (
      'http://192.168.1.7', // by cupertino_http
      'NSErrorClientException: The resource could not be loaded. '
          '[domain=NSURLErrorDomain, code=-1022]',
      'NSAllowsLocalNetworking',
    ),
    ('https://api.test', 'Failed to connect WebSocket', 'opens no WebSocket'),
    ('http://api.test', 'ClientException: Failed to fetch', 'CORS'),
    ('http://api.test', 'ClientException: Load failed', 'CORS'),
    ('http://api.test', 'NSURLErrorDomain -1022', 'NSAllowsLocalNetworking'),
    (
      'http://api.test',
      'Cleartext HTTP traffic to api.test not permitted',
      'network_security_config.xml',
    ),
    (
      'https://api.test:5000',
      'HandshakeException: WRONG_VERSION_NUMBER(tls_record.cc:231)',
      'write http://api.test:5000',
    ),
    ('https://api.test', 'CERTIFICATE_VERIFY_FAILED: self signed', 'trusted'),
    (
      'http://api.test:443',
      'Connection closed before full header was received',
      'https://api.test:443',
    ),
    ('http://api.test:81', 'who knows', 'api.test:81 is right'),
  ]) {
    test('$url: $reason', () {
      final hint = hintFor(Uri.parse(url), reason);
      check(hint.contains(expected), hint);
    });
  }

  test('loopback and local networks', () {
    for (final host in ['localhost', '127.0.0.1', '127.1.2.3', '::1']) {
      check(isLoopback(host) && !isLocalNetwork(host), host);
    }
    for (final host in ['10.1.2.3', '192.168.0.1', '172.31.9.9', 'a.local']) {
      check(isLocalNetwork(host) && !isLoopback(host), host);
    }
    for (final host in ['127.evil.com', '10.evil.com', '8.8.8.8', '1.10.0.1']) {
      check(!isLocalNetwork(host) && !isLoopback(host), host);
    }
  });

  test('a port where nobody listens, asked by dart:io', () async {
    final rig = await Rig.start((seen) {});
    final url = rig.url;
    await rig.stop();
    final error = await _error(url);
    check(error.hint!.contains('adb reverse tcp:${url.port}'), '$error');
    equal(error.url.path, '/try/echo');
  });

  test('https where http is spoken, asked by dart:io', () async {
    final rig = await Rig.start((seen) => seen.answer('x'));
    final url = rig.url;
    final error = await _error(url.replace(scheme: 'https'));
    await rig.stop();
    check(error.hint!.contains('write $url'), '$error');
  });

  run();
}

Future<ConnectionException> _error(Uri url) async {
  final transport = Transport(url, adapter: IoAdapter());
  try {
    return await throws<ConnectionException>(
      () => transport.unary(echo, 'x', options: const CallOptions(retries: 0)),
    );
  } finally {
    transport.close();
  }
}
