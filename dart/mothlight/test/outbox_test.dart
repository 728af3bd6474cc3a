/// The messages that a server does not have yet.
library;

import 'dart:async';
import 'dart:typed_data';

import 'package:mothlight/src/outbox.dart';

import 'harness.dart';

void main() {
  _outboxes();
  unawaited(run(limit: const Duration(seconds: 20)));
}

void _outboxes() {
  test('an outbox holds what the server does not have', () {
    final box =
        Outbox()
          ..add('a')
          ..add('b');
    equal([box.take(), box.take(), box.take()], ['a', 'b', null]);
    check(box.confirm(1));
    box.add('c');
    check(!box.confirm(0), 'less than before');
    check(!box.confirm(3), 'more than was sent');
    check(box.rewind(1));
    box.end();
    equal(
      [box.take(), box.take(), box.take(), box.take()],
      ['b', 'c', endFrame, null],
    );
    check(box.rewind(3));
    equal([box.take(), box.take()], [endFrame, null], 'the end again');
  });

  test('an outbox is full by number and by bytes', () {
    final box = Outbox();
    for (var i = 0; i < maxHeld; i++) {
      check(!box.isFull);
      box.add('$i');
    }
    check(box.isFull);
    for (var i = 0; i < maxHeld; i++) {
      equal(box.take(), '$i');
    }
    check(box.confirm(1));
    check(!box.isFull);
    final large = Outbox()..add(Uint8List(maxHeldBytes));
    check(large.isFull);
    large.take();
    check(large.confirm(1));
    check(!large.isFull);
  });
}
