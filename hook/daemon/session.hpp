#pragma once
// Session: one connection of a hook, in the daemon. It reads questions, answers the short ones at
// once and hands scans to the analyst; scans go on when the hook has gone. What the peer may hold
// of the daemon is bounded: when it has its share, nothing more is read until something is done.
#include "hook/daemon/channel.hpp"
#include "policy/judge/local_authority.hpp"

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>

namespace hubgate::daemon {

/// What all connections hold together.
struct Load {
  static constexpr std::size_t k_files = 1024;
  static constexpr std::uint64_t k_bytes = std::uint64_t{1} << 30;
  std::atomic<std::size_t> tasks{0};   ///< scans that were asked for and are not done
  std::atomic<std::size_t> files{0};   ///< of them, large files
  std::atomic<std::uint64_t> bytes{0}; ///< memory of the others
};

/// Where the gate's policy is from; nothing when it can't be read now.
using PolicyText = std::function<Result<Welcome>()>;
/// The text of the policy that decides now.
using PolicyInForce = std::function<Result<Welcome>(const Policy& policy)>;

/// Whether that is the text of the policy.
bool is_text_of(const Welcome& welcome, const Policy& policy);

class Session : public std::enable_shared_from_this<Session> {
public:
  struct World {
    Gatekeeper& keeper;
    Analyst& analyst;
    Load& load;
    const PolicyInForce& policy_text;
  };
  /// Of one connection.
  static constexpr std::size_t k_tasks = 256;
  static constexpr std::uint64_t k_bytes = std::uint64_t{512} << 20;

  static Result<std::shared_ptr<Session>> create(World world, Channel channel, Peer peer);

  /// Serves the connection to its end; the reason if it is not the peer's wish.
  Result<void> run();
  /// Behind run(): says why it ended, if that is known.
  void close(const Result<void>& served);
  /// From any thread: ends now.
  void stop();

private:
  using Payload = std::vector<std::uint8_t>;
  struct Held;
  Session(World world, Channel channel, Peer peer, Fd event)
      : world_(world), channel_(std::move(channel)), peer_(peer), event_(std::move(event)) {}

  Result<void> handle(Received message);
  Result<void> greet(Reader& in, std::uint32_t id);
  /// The answer to a question that takes no scan; an error is the peer's fault.
  Result<Out> reply_to(Type type, Reader& in, Fd attached);
  Result<Out> decide(Reader& in);
  Result<Out> remember(Reader& in);
  Result<Out> quarantine(Reader& in, const Fd& attached);
  Result<Out> event(Reader& in);
  Result<void> batch(Reader& in, Received& message);
  Result<void> file(Received& message);
  Result<void> code(Reader& in, Received& message);
  /// Hears the analyst, in one of its threads.
  Authority::Done answer_later(std::uint32_t id, std::uint64_t bytes, bool file);
  void answer(std::uint32_t id, const Out& payload);
  void fail(std::uint32_t id, const Error& error);
  void put_out(Result<Sending> message);
  Result<bool> send_some();
  bool has_room(Type type) const;
  void wake();

  World world_;
  Channel channel_;
  Peer peer_;
  Fd event_; ///< eventfd(2): something was put out, or the end was asked for
  std::unique_ptr<LocalAuthority> authority_; ///< after the greeting
  std::optional<Received> held_;              ///< a scan for which there is no room yet
  /// Decisions of this connection whose bytes may be put aside.
  std::map<std::string, std::pair<Decision, Context>, std::less<>> quarantined_;

  std::atomic<bool> stopping_{false};
  std::atomic<std::size_t> tasks_{0};
  std::atomic<std::uint64_t> bytes_{0};
  std::mutex mutex_;
  std::deque<Sending> outbox_;
  bool closed_ = false; ///< answers go nowhere
};

} // namespace hubgate::daemon
