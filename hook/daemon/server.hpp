#pragma once
// Server: the daemon's socket. It lets in who is trusted, as many as fit, and gives each a thread.
#include "hook/daemon/session.hpp"

#include <list>
#include <thread>
#include <vector>

namespace hubgate::daemon {

class Server {
public:
  struct Options {
    std::filesystem::path socket; ///< made anew; its folder must be there
    mode_t mode = 0660;
    std::string group;             ///< name of the group that it is given to, "" = ours
    std::vector<uid_t> trusted;    ///< besides our own account and root
    PolicyText policy_text;        ///< what the keeper's policy was read from
    std::filesystem::path scratch; ///< folder for unlinked files, owner-only
    std::size_t connections = 64;  ///< at once
    std::size_t per_account = 48;  ///< of one account that is not ours
  };

  /// Listens. `keeper` and `pool` must outlive it.
  static Result<std::unique_ptr<Server>> start(Gatekeeper& keeper, WorkerPool& pool,
                                               Options options);
  /// Ends connections and waits for scans that run; those that wait are dropped.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// The keeper has another policy now: its text is kept before somebody edits the file.
  void policy_changed() { (void)policy_in_force(keeper_.policy()); }
  /// Lets nobody in any more; who is in goes on.
  void drain();
  /// Connections that are open.
  std::size_t guests();
  /// Whether scans wait or run, for somebody or nobody.
  bool scans() const { return load_.tasks != 0; }

private:
  struct Guest {
    std::thread thread;
    std::shared_ptr<Session> session;
    uid_t uid = 0;
    std::atomic<bool> gone{false};
  };

  Server(Gatekeeper& keeper, WorkerPool& pool, Options options);
  Result<void> bind();
  void accept();
  void let_in(Fd socket);
  Result<void> admit(const Peer& peer);
  void sweep();
  Result<Welcome> policy_in_force(const Policy& policy);

  Options options_;
  Gatekeeper& keeper_;
  Fd lock_; ///< beside the socket: one daemon a path
  Fd listener_;
  Fd wake_;
  std::atomic<bool> closing_{false};
  Load load_;
  std::mutex policy_mutex_;
  std::optional<Welcome> policy_text_; ///< of the policy that was in force last
  PolicyInForce policy_ = [this](const Policy& policy) { return policy_in_force(policy); };
  std::mutex mutex_;
  std::list<Guest> guests_;
  Analyst analyst_;
  std::thread accepting_;
};

} // namespace hubgate::daemon
