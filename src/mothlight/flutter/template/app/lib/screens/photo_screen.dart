import 'dart:async';

import 'package:flutter/foundation.dart';
import 'package:flutter/material.dart';
import 'package:flutter/services.dart';
import 'package:image_picker/image_picker.dart';
import 'package:mothlight/mothlight.dart';
import 'package:mothlight_app_api/mothlight_app_api.dart';

import '../call_controller.dart';
import '../widgets/bar.dart';
import '../widgets/error_card.dart';
import '../widgets/page_body.dart';

/// Names what is on a photo that is picked or shot.
class PhotoScreen extends StatefulWidget {
  const PhotoScreen({required this.api, required this.picker, super.key});

  final ModelsApi api;
  final ImagePicker picker;

  @override
  State<PhotoScreen> createState() => _PhotoScreenState();
}

class _PhotoScreenState extends State<PhotoScreen> {
  final _call = CallController<Prediction>();
  Uint8List? _photo;
  String? _problem;

  @override
  void initState() {
    super.initState();
    if (!kIsWeb && defaultTargetPlatform == TargetPlatform.android) {
      unawaited(_recover());
    }
  }

  @override
  void dispose() {
    _call.dispose();
    super.dispose();
  }

  /// Android may end an app while its camera is open: the photo is kept.
  Future<void> _recover() => _take(() async {
    final lost = await widget.picker.retrieveLostData();
    return lost.files?.firstOrNull;
  });

  /// The model looks at no more than this: the rest need not be sent.
  Future<void> _pick(ImageSource source) => _take(
    () => widget.picker.pickImage(
      source: source,
      maxWidth: PhotoLimits.imageMaxWidth,
      maxHeight: PhotoLimits.imageMaxHeight,
      imageQuality: PhotoLimits.imageQuality,
      requestFullMetadata: false,
    ),
  );

  Future<void> _take(Future<XFile?> Function() photo) async {
    if (_problem != null) setState(() => _problem = null);
    try {
      final file = await photo();
      if (file != null) await _classify(file);
    } on PlatformException catch (error) {
      // Camera and photos may be forbidden in the settings of the device.
      if (mounted) setState(() => _problem = error.message ?? error.code);
    }
  }

  Future<void> _classify(XFile file) async {
    final photo = await file.readAsBytes();
    if (!mounted) return;
    setState(() => _photo = photo);
    final image = FileData.bytes(
      photo,
      name: file.name,
      mediaType: file.mimeType,
    );
    await _call.run(
      (options) => widget.api.classify(Photo(image: image), options: options),
    );
  }

  @override
  Widget build(BuildContext context) => ListenableBuilder(
    listenable: _call,
    builder: (context, _) {
      final isRunning = _call.phase is Running<Prediction>;
      return PageBody(
        children: [
          if (_photo case final photo?)
            ClipRRect(
              borderRadius: BorderRadius.circular(16),
              child: Image.memory(
                photo,
                height: 280,
                fit: BoxFit.cover,
                semanticLabel: 'The photo',
                errorBuilder:
                    (context, error, stack) =>
                        const Text('This device cannot show the photo.'),
              ),
            ),
          Wrap(
            spacing: 12,
            runSpacing: 12,
            children: [
              FilledButton.icon(
                onPressed: isRunning ? null : () => _pick(ImageSource.gallery),
                icon: const Icon(Icons.photo_library_outlined),
                label: const Text('Pick a photo'),
              ),
              if (widget.picker.supportsImageSource(ImageSource.camera))
                FilledButton.tonalIcon(
                  onPressed: isRunning ? null : () => _pick(ImageSource.camera),
                  icon: const Icon(Icons.photo_camera_outlined),
                  label: const Text('Shoot one'),
                ),
              if (isRunning)
                OutlinedButton.icon(
                  onPressed: _call.cancel,
                  icon: const Icon(Icons.close),
                  label: const Text('Cancel'),
                ),
            ],
          ),
          if (_problem case final problem?)
            Semantics(
              liveRegion: true,
              child: Text(
                problem,
                style: TextStyle(color: Theme.of(context).colorScheme.error),
              ),
            ),
          switch (_call.phase) {
            Idle() => const SizedBox.shrink(),
            Running(:final sent) => _Progress(sent: sent),
            Done(:final value, :final elapsed) => _Guesses(value, elapsed),
            Failed(:final error) => ErrorCard(
              error: error,
              onRetry: () => unawaited(_call.retry()),
            ),
          },
        ],
      );
    },
  );
}

class _Progress extends StatelessWidget {
  const _Progress({this.sent});

  final double? sent;

  @override
  Widget build(BuildContext context) {
    // All sent: the model is at work, and nobody knows for how long.
    final isSending = sent != null && sent! < 1;
    return Column(
      crossAxisAlignment: CrossAxisAlignment.start,
      spacing: 8,
      children: [
        LinearProgressIndicator(
          value: isSending ? sent : null,
          semanticsLabel: isSending ? 'Sending' : 'Looking',
        ),
        ExcludeSemantics(child: Text(isSending ? 'Sending …' : 'Looking …')),
      ],
    );
  }
}

class _Guesses extends StatelessWidget {
  const _Guesses(this.prediction, this.elapsed);

  final Prediction prediction;
  final Duration elapsed;

  @override
  Widget build(BuildContext context) => Semantics(
    container: true,
    liveRegion: true,
    child: Column(
      crossAxisAlignment: CrossAxisAlignment.stretch,
      children: [
        for (final guess in prediction.guesses)
          Bar(label: guess.label, value: guess.probability),
        Text(
          'In ${elapsed.inMilliseconds} ms',
          style: Theme.of(context).textTheme.bodySmall,
        ),
      ],
    ),
  );
}
