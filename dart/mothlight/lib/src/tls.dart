/// Whether [reason], the platform's words, is that a certificate is wrong or
/// that the server speaks no TLS at all: to try again is useless.
bool isTlsFault(String reason) =>
    reason.contains('CERTIFICATE') || reason.contains('WRONG_VERSION');
