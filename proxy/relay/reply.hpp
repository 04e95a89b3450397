#pragma once
// Answers to clients: complete ones, refusals in the form that each client shows, and bodies that
// are sent as they become free.
#include "proxy/relay/gate.hpp"

namespace hubgate::proxy {

/// A whole answer. The body is left out for HEAD (its length is announced if `announce` is set).
Task<void> reply(Visit& visit, int status, Headers headers, std::string body);

/// 204 to an ICAP client: the message may pass as it is.
Task<void> reply_unchanged(Visit& visit);

/// Sends 100 Continue if the client waits for it. False: the client is gone.
Task<bool> send_continue(Visit& visit);

/// The request's body (100 Continue is sent first if the client waits for it). Nothing: it was too
/// long or broke off, and the client has been told.
Task<std::optional<std::string>> read_request_body(Visit& visit, std::uint64_t most);

/// A failure of the gate or of the upstream: never for a block.
Task<void> reply_error(Visit& visit, int status, std::string message);

/// The refusal that a decision asks for: 403 with the text where the client shows it.
Task<void> reply_refusal(Visit& visit, Decision decision, Context context);

/// Records a refusal of the gate's own (no report) and answers with it.
Task<void> refuse(Visit& visit, Road road, std::string rule, std::string reason);

/// Passes an upstream's error on: status and fields that clients act on, its message escaped, none
/// of its bytes.
Task<void> reply_upstream_error(Visit& visit, const ResponseHead& head, std::string message);

/// The line of a decision that annotates, in X-HF-Warning; nothing otherwise.
void add_warning(Headers& headers, const Decision& decision, const Context& context);
/// What goes into X-Hubgate-Verdict and X-HF-Warning.
void add_verdict(Headers& headers, const Decision& decision, const Context& context);

/// A body that goes out piece by piece. The head waits for the first piece or flush_head().
class BodyWriter {
public:
  explicit BodyWriter(Visit& visit) : visit_(visit) {}
  /// `length` nothing: chunked. Nothing is sent yet; may be called again until something is.
  void prepare(int status, const Headers& headers, std::optional<std::uint64_t> length);
  Task<bool> flush_head();
  Task<bool> send(Bytes bytes);
  /// Ends the body. One that is shorter than announced is cut: the connection ends.
  Task<bool> finish();
  bool head_sent() const { return head_sent_; }
  std::uint64_t sent() const { return sent_; }

private:
  void begun();

  Visit& visit_;
  int status_ = 0;
  std::string head_;
  std::optional<std::uint64_t> length_; ///< as announced
  bool chunked_ = false;
  bool head_sent_ = false;
  std::uint64_t sent_ = 0;
};

} // namespace hubgate::proxy
