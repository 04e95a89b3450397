#pragma once
// PassOn: what was judged goes on to the CAS behind the gate: first the xorbs that it does not
// have, then the shard, which the gate has written itself.
#include "proxy/cas/shelf.hpp"
#include "proxy/relay/gate.hpp"

namespace hubgate::proxy {

class PassOn final : public std::enable_shared_from_this<PassOn> {
public:
  struct What {
    Fetch request; ///< to the CAS's own address, with its token; method and path are set here
    std::vector<std::shared_ptr<ShelvedXorb>> xorbs;
    std::string shard;
    explicit What(Fetch request_) : request(std::move(request_)) {}
  };
  PassOn(Gate& gate, What what);

  void start();
  bool done() const { return done_; }
  Event& changed() { return changed_; }
  std::uint64_t sent() const { return sent_; }
  /// What went wrong, for a person; empty when the CAS has all of it.
  const std::string& error() const { return error_; }
  /// It may go well another time.
  bool retryable() const { return retryable_; }

private:
  Task<void> run(std::shared_ptr<PassOn> self);
  Task<void> send_xorbs(std::shared_ptr<PassOn> self);
  Task<bool> send_xorb(ShelvedXorb& xorb);
  Task<bool> send_shard();
  Task<bool> read_stream(Exchange& answer);
  Fetch fetch(std::string_view path) const;
  bool fail(std::string why, bool retryable);
  bool fail_with(int status, std::string_view of);

  Gate& gate_;
  What what_;
  Event changed_;
  std::size_t next_ = 0;
  std::size_t running_ = 0;
  std::uint64_t sent_ = 0;
  bool done_ = false;
  bool retryable_ = false;
  std::string error_;
};

} // namespace hubgate::proxy
