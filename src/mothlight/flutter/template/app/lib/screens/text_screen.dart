import 'dart:async';

import 'package:flutter/material.dart';
import 'package:mothlight/mothlight.dart';
import 'package:mothlight_app_api/mothlight_app_api.dart';

import '../call_controller.dart';
import '../widgets/bar.dart';
import '../widgets/error_card.dart';
import '../widgets/page_body.dart';

/// Scores a text while it is typed: only the newest letter's answer counts.
class TextScreen extends StatefulWidget {
  const TextScreen({required this.api, super.key});

  final ModelsApi api;

  @override
  State<TextScreen> createState() => _TextScreenState();
}

class _TextScreenState extends State<TextScreen> {
  final _call = CallController<Verdict>(
    supersede: const SupersedeKey('analyze'),
  );

  @override
  void dispose() {
    _call.dispose(); // stops the call too
    super.dispose();
  }

  void _read(String text) {
    if (text.trim().isEmpty) return _call.clear();
    unawaited(
      _call.run(
        (options) => widget.api.analyze(Review(text: text), options: options),
      ),
    );
  }

  @override
  Widget build(BuildContext context) => PageBody(
    children: [
      TextField(
        onChanged: _read,
        minLines: 3,
        maxLines: 8,
        maxLength: ReviewLimits.textMaxLength,
        textCapitalization: TextCapitalization.sentences,
        decoration: const InputDecoration(
          labelText: 'What did you think of it?',
          hintText: 'A lovely, clever film …',
        ),
      ),
      ListenableBuilder(
        listenable: _call,
        builder: (context, _) => _answer(context),
      ),
    ],
  );

  Widget _answer(BuildContext context) {
    if (_call.phase case Failed(:final error)) {
      return ErrorCard(error: error, onRetry: () => unawaited(_call.retry()));
    }
    final verdict = _call.latest;
    if (verdict == null) return const SizedBox.shrink();
    final label = verdict.score >= 0.5 ? 'Praise' : 'Complaint';
    return Semantics(
      container: true,
      liveRegion: true,
      // A newer answer is on its way: this one fades, and nothing jumps.
      child: AnimatedOpacity(
        opacity: _call.phase is Running<Verdict> ? 0.5 : 1,
        duration: const Duration(milliseconds: 150),
        child: Bar(label: label, value: verdict.score),
      ),
    );
  }
}
