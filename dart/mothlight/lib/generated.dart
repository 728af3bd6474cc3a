/// What generated packages are made with: `mothlight.dart`, and beside it what
/// reads and writes messages. An app imports it only to write a `Method` by
/// hand: it has names that Flutter has too, such as `FormField`.
library;

export 'mothlight.dart';
export 'src/json.dart';
export 'src/method.dart';
