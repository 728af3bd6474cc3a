import 'package:flutter/material.dart';
import 'package:mothlight/mothlight.dart';
import 'package:mothlight_app_api/mothlight_app_api.dart';

import '../live_controller.dart';
import '../widgets/error_card.dart';
import '../widgets/page_body.dart';

/// Shows an answer while it is written, also across a lost connection.
class WriteScreen extends StatefulWidget {
  const WriteScreen({required this.api, super.key});

  final ModelsApi api;

  @override
  State<WriteScreen> createState() => _WriteScreenState();
}

class _WriteScreenState extends State<WriteScreen> {
  final _live = LiveController<Token>();
  final _prompt = TextEditingController(
    text: 'Tell me a story of a moth and a lamp.',
  );

  @override
  void dispose() {
    _live.dispose(); // stops the model too
    _prompt.dispose();
    super.dispose();
  }

  void _start() {
    final text = _prompt.text.trim();
    if (text.isEmpty) return;
    FocusScope.of(context).unfocus();
    _live.start(
      (options) => widget.api.write(Prompt(text: text), options: options),
    );
  }

  @override
  Widget build(BuildContext context) => PageBody(
    children: [
      TextField(
        controller: _prompt,
        minLines: 1,
        maxLines: 4,
        maxLength: PromptLimits.textMaxLength,
        textCapitalization: TextCapitalization.sentences,
        decoration: const InputDecoration(labelText: 'Your question'),
      ),
      ListenableBuilder(
        listenable: _live,
        builder:
            (context, _) => Column(
              crossAxisAlignment: CrossAxisAlignment.start,
              spacing: 16,
              children: [
                _live.isRunning
                    ? FilledButton.tonalIcon(
                      onPressed: _live.stop,
                      icon: const Icon(Icons.stop),
                      label: const Text('Stop'),
                    )
                    : FilledButton.icon(
                      onPressed: _start,
                      icon: const Icon(Icons.play_arrow),
                      label: const Text('Write'),
                    ),
                if (_live.connection case final connection?)
                  _Status(
                    connection: connection,
                    hasFailed: _live.error != null,
                    count: _live.count,
                    rate: _live.rate,
                  ),
                if (_live.count > 0)
                  SelectableText(_live.items.map((token) => token.text).join()),
                if (_live.error case final error?)
                  ErrorCard(error: error, onRetry: _live.retry),
              ],
            ),
      ),
    ],
  );
}

/// How the stream is, and how fast. A screen reader hears the state, and not
/// each token.
class _Status extends StatelessWidget {
  const _Status({
    required this.connection,
    required this.hasFailed,
    required this.count,
    required this.rate,
  });

  final StreamState connection;
  final bool hasFailed;
  final int count;
  final double rate;

  @override
  Widget build(BuildContext context) {
    final (icon, words) = switch (connection) {
      StreamState.connecting => (Icons.sync, 'Connecting …'),
      StreamState.live => (Icons.bolt, 'Live'),
      StreamState.resuming => (Icons.cloud_sync, 'Resuming …'),
      StreamState.paused => (Icons.pause, 'Paused'),
      StreamState.ended when hasFailed => (Icons.error_outline, 'Failed'),
      StreamState.ended => (Icons.check, 'Ended'),
    };
    return Wrap(
      spacing: 12,
      runSpacing: 8,
      crossAxisAlignment: WrapCrossAlignment.center,
      children: [
        Semantics(
          liveRegion: true,
          child: Chip(avatar: Icon(icon), label: Text(words)),
        ),
        Text('$count tokens'),
        if (rate > 0) Text('${rate.toStringAsFixed(1)} tokens/s'),
      ],
    );
  }
}
