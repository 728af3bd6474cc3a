import 'package:flutter/material.dart';

/// A label, a value from 0 to 1, and a bar of that length.
class Bar extends StatelessWidget {
  const Bar({required this.label, required this.value, super.key});

  final String label;
  final double value;

  @override
  Widget build(BuildContext context) {
    final percent = '${(value * 100).round()} %';
    return MergeSemantics(
      child: Padding(
        padding: const EdgeInsets.symmetric(vertical: 4),
        child: Column(
          crossAxisAlignment: CrossAxisAlignment.stretch,
          spacing: 4,
          children: [
            Row(children: [Expanded(child: Text(label)), Text(percent)]),
            ExcludeSemantics(
              child: LinearProgressIndicator(
                value: value.clamp(0, 1),
                minHeight: 8,
                borderRadius: const BorderRadius.all(Radius.circular(4)),
              ),
            ),
          ],
        ),
      ),
    );
  }
}
