import 'dart:async';
import 'dart:convert';
import 'dart:typed_data';

import 'package:flutter/material.dart';
import 'package:flutter_test/flutter_test.dart';
import 'package:image_picker/image_picker.dart';
import 'package:mothlight/mothlight.dart';
import 'package:mothlight/testing.dart';
import 'package:mothlight_app/app.dart';
import 'package:mothlight_app/screens/photo_screen.dart';
import 'package:mothlight_app/screens/text_screen.dart';
import 'package:mothlight_app/screens/write_screen.dart';
import 'package:mothlight_app/widgets/error_card.dart';
import 'package:mothlight_app_api/mothlight_app_api.dart';
import 'package:mothlight_app_api/testing.dart';

/// A white PNG of one pixel.
final Uint8List pixel = base64Decode(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mP8/x8AAwMCAO+ip1sA'
  'AAAASUVORK5CYII=',
);

/// Picks [pixel].
class FakePicker extends ImagePicker {
  @override
  Future<XFile?> pickImage({
    required ImageSource source,
    double? maxWidth,
    double? maxHeight,
    int? imageQuality,
    CameraDevice preferredCameraDevice = CameraDevice.rear,
    bool requestFullMetadata = true,
  }) async => XFile.fromData(pixel, name: 'moth.png', mimeType: 'image/png');

  @override
  Future<LostDataResponse> retrieveLostData() async => LostDataResponse.empty();

  @override
  bool supportsImageSource(ImageSource source) => true;
}

void main() {
  Future<void> show(WidgetTester tester, Widget screen) =>
      tester.pumpWidget(MaterialApp(home: Scaffold(body: screen)));

  testWidgets('a bar on a phone, a rail on a tablet', (tester) async {
    tester.view.devicePixelRatio = 1;
    addTearDown(tester.view.reset);
    tester.view.physicalSize = const Size(400, 800);
    await tester.pumpWidget(App(api: FakeModelsApi(), picker: FakePicker()));
    expect(find.byType(NavigationBar), findsOneWidget);
    tester.view.physicalSize = const Size(1000, 800);
    await tester.pump();
    expect(find.byType(NavigationRail), findsOneWidget);
  });

  testWidgets('a text and its score stay when the phone is turned', (
    tester,
  ) async {
    final api = FakeModelsApi(
      analyze: (review) async => const Verdict(score: 0.93),
    );
    tester.view.devicePixelRatio = 1;
    addTearDown(tester.view.reset);
    tester.view.physicalSize = const Size(400, 800);
    await tester.pumpWidget(App(api: api, picker: FakePicker()));
    await tester.enterText(find.byType(TextField), 'lovely');
    await tester.pumpAndSettle();
    for (final turned in const [Size(800, 400), Size(400, 800)]) {
      tester.view.physicalSize = turned;
      await tester.pump();
      expect(find.text('lovely'), findsOneWidget);
      expect(find.text('93 %'), findsOneWidget);
    }
  });

  testWidgets('scores a text while it is typed', (tester) async {
    final read = <String>[];
    final api = FakeModelsApi(
      analyze: (review) async {
        read.add(review.text);
        return const Verdict(score: 0.93);
      },
    );
    await show(tester, TextScreen(api: api));
    await tester.enterText(find.byType(TextField), 'lovely');
    await tester.pumpAndSettle();
    expect(read, ['lovely']);
    expect(find.text('Praise'), findsOneWidget);
    expect(find.text('93 %'), findsOneWidget);
  });

  testWidgets('an error is shown, and tried again', (tester) async {
    var calls = 0;
    final api = FakeModelsApi(
      analyze: (review) async {
        if (calls++ == 0) throw const CallTimeoutException('2 s are over');
        return const Verdict(score: 0.1);
      },
    );
    await show(tester, TextScreen(api: api));
    await tester.enterText(find.byType(TextField), 'dull');
    await tester.pumpAndSettle();
    expect(find.text('It took too long'), findsOneWidget);
    await tester.tap(find.text('Try again'));
    await tester.pumpAndSettle();
    expect(find.text('Complaint'), findsOneWidget);
  });

  testWidgets('names what is on a photo', (tester) async {
    final answer = Completer<Prediction>();
    final api = FakeModelsApi(classify: (photo) => answer.future);
    await show(tester, PhotoScreen(api: api, picker: FakePicker()));
    await tester.tap(find.text('Pick a photo'));
    await tester.pump();
    await tester.pump();
    expect(find.text('Cancel'), findsOneWidget);
    answer.complete(
      const Prediction(guesses: [Guess(label: 'moth', probability: 0.8)]),
    );
    await tester.pump();
    expect(find.text('moth'), findsOneWidget);
    expect(find.text('80 %'), findsOneWidget);
  });

  testWidgets('writes, and stops with the screen', (tester) async {
    var stopped = false;
    final tokens = StreamController<Token>(onCancel: () => stopped = true);
    final api = FakeModelsApi(write: (prompt) => tokens.stream);
    await show(tester, WriteScreen(api: api));
    await tester.tap(find.text('Write'));
    tokens
      ..add(const Token(text: 'Once '))
      ..add(const Token(text: 'upon'));
    await tester.pump();
    await tester.pump();
    expect(find.text('Once upon'), findsOneWidget);
    expect(find.text('2 tokens'), findsOneWidget);
    await tester.pumpWidget(const SizedBox());
    expect(stopped, isTrue);
  });

  testWidgets('a stream that is given up says so', (tester) async {
    final api = FakeModelsApi(
      write: (prompt) => Stream.error(const CancelledException()),
    );
    await show(tester, WriteScreen(api: api));
    await tester.tap(find.text('Write'));
    await tester.pumpAndSettle();
    expect(find.text('Failed'), findsOneWidget);
    expect(find.text('The server gave it up'), findsOneWidget);
    expect(find.text('Try again'), findsOneWidget);
  });

  testWidgets('every error has its words', (tester) async {
    final problem = fakeProblem(fields: {'tokens': 2000, 'limit': 1024});
    final errors = <MothlightException>[
      ConnectionException(
        'no route',
        url: Uri.parse('http://10.0.2.2:8000'),
        hint: 'adb reverse',
      ),
      const CallTimeoutException('late'),
      const CancelledException(),
      const DecodeException('odd'),
      PromptTooLong(problem),
      InvalidRequestException(problem),
      OverloadedException(problem),
      UnauthenticatedException(problem),
      ApiException(problem),
    ];
    for (final error in errors) {
      await show(tester, ErrorCard(error: error, onRetry: () {}));
      final (_, title, _) = ErrorCard.describe(error);
      expect(find.text(title), findsOneWidget);
      expect(find.text('Try again'), findsOneWidget);
    }
  });

  testWidgets('large text and small screens fit', (tester) async {
    tester.view.devicePixelRatio = 1;
    tester.view.physicalSize = const Size(320, 568);
    addTearDown(tester.view.reset);
    tester.platformDispatcher.textScaleFactorTestValue = 2;
    addTearDown(tester.platformDispatcher.clearTextScaleFactorTestValue);
    await tester.pumpWidget(App(api: FakeModelsApi(), picker: FakePicker()));
    await expectLater(tester, meetsGuideline(androidTapTargetGuideline));
    await expectLater(tester, meetsGuideline(labeledTapTargetGuideline));
  });
}
