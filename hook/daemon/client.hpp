#pragma once
// The hook's side: an Authority that is a daemon behind a socket. Questions go out as they come and
// answers are sorted in by a thread of its own, so that much can be under way at once. When the
// daemon is gone, every question that is open or follows fails.
#include "hook/daemon/channel.hpp"

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

namespace hubgate::daemon {

class Client final : public Authority {
public:
  using Clock = std::chrono::steady_clock;
  struct Options {
    std::filesystem::path socket;
    std::string repo;
    std::filesystem::path git_dir;
    /// When waiting for an answer ends.
    Clock::time_point deadline = Clock::now() + std::chrono::minutes(10);
  };

  /// Fails when nobody answers there, or does not want us; the error says why.
  static Result<std::unique_ptr<Client>> connect(const Options& options);
  ~Client() override;

  Capacity capacity() const override;
  void analyse_batch(Fd memory, std::vector<BatchItem> items, Done done) override;
  void analyse_file(Fd file, std::optional<ObjectDigest> computed, Done done) override;
  Report analyse_code(const python::BundleWriter& bundle, double seconds) override;
  Result<std::vector<std::optional<Report>>> known(const std::vector<ObjectKey>& objects) override;

  Policy policy() const override { return *policy_; }
  Result<std::vector<Decision>> decide(const std::vector<Gatekeeper::Case>& cases) override;
  Result<void> quarantine(const Decision& decision, const Context& context, Fd file) override;
  Result<void> event(std::string_view what, const boost::json::object& fields) override;

  bool is_judged(const git::Oid& oid, std::string_view terms) override;
  std::optional<Report> tree_verdict(const git::Oid& root) override;
  Result<void> remember(const std::vector<TreeVerdict>& trees,
                        const std::vector<Judgement>& judged) override;
  bool goes_on() const override { return true; }

private:
  using Payload = std::vector<std::uint8_t>;
  /// Hears the answer's payload, once.
  using Hear = std::function<void(Result<Payload>)>;

  explicit Client(Channel channel, Clock::time_point deadline);
  void ask(Type type, const Out& question, Fd attached, Hear hear);
  /// Asks and waits.
  Result<Payload> answer(Type type, const Out& question, Fd attached = {});
  void listen();
  void give_up(const Error& why);

  Channel channel_;
  Clock::time_point deadline_;
  std::optional<Policy> policy_;

  std::mutex sending_;
  std::mutex mutex_;
  std::map<std::uint32_t, Hear> waiting_;
  std::uint32_t next_ = 1;
  std::optional<Error> gone_;
  std::thread listener_;
};

} // namespace hubgate::daemon
