/// The generated client against a live server.
///
///     dart live_test.dart URL SECURED_URL KEY LEDGER [NAME]
library;

import 'dart:io';

import '../../../dart/mothlight/test/harness.dart';
import 'live.dart' as live;
import 'live_callers.dart';
import 'live_calls.dart';
import 'live_streams.dart';

Future<void> main(List<String> arguments) async {
  live.url = Uri.parse(arguments[0]);
  live.secured = Uri.parse(arguments[1]);
  live.key = arguments[2];
  live.ledger = File(arguments[3]);
  answers();
  uploads();
  endings();
  streams();
  conversations();
  background();
  callers();
  await run(
    limit: const Duration(seconds: 25),
    only: arguments.length > 4 ? arguments[4] : null,
  );
}
