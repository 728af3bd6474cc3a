/// Stands in for Flutter where there is none, so that the template's widgets
/// can be compiled: the signatures that they use, as Flutter 3.44 has them.
library;

import 'package:flutter/material.dart';

class FlutterView {
  set devicePixelRatio(double v) {}
  set physicalSize(Size v) {}
  void reset() {}
}

class TestDispatcher {
  set textScaleFactorTestValue(double v) {}
  void clearTextScaleFactorTestValue() {}
}

abstract class WidgetTester {
  FlutterView get view;
  TestDispatcher get platformDispatcher;
  Future<void> pumpWidget(Widget w, {Duration? duration});
  Future<void> pump([Duration? d]);
  Future<int> pumpAndSettle([Duration d]);
  Future<void> tap(FinderBase f);
  Future<void> enterText(FinderBase f, String text);
}

class FinderBase {}

class CommonFinders {
  FinderBase byType(Type t) => throw '';
  FinderBase text(String s) => throw '';
  FinderBase widgetWithText(Type t, String s) => throw '';
}

CommonFinders get find => throw '';

class Matcher {
  const Matcher();
}

class AsyncMatcher extends Matcher {
  const AsyncMatcher();
}

const Matcher findsOneWidget = Matcher(),
    findsNothing = Matcher(),
    isTrue = Matcher(),
    throwsFormatException = Matcher();
Matcher isA<T>() => throw '';

class AccessibilityGuideline {
  const AccessibilityGuideline();
}

const AccessibilityGuideline androidTapTargetGuideline =
        AccessibilityGuideline(),
    labeledTapTargetGuideline = AccessibilityGuideline(),
    textContrastGuideline = AccessibilityGuideline();
AsyncMatcher meetsGuideline(AccessibilityGuideline g) => throw '';
void expect(Object? actual, Object? matcher, {String? reason}) {}
Future<void> expectLater(Object? actual, Object? matcher) => throw '';
void addTearDown(Object? Function() body) {}
void test(String name, Object? Function() body) {}
void testWidgets(
  String name,
  Future<void> Function(WidgetTester tester) body,
) {}
