#pragma once
// LocalAuthority: this process scans, decides and keeps the records. The hook without a daemon, and
// the daemon itself for each of its peers.
#include "policy/judge/analyst.hpp"

#include <mutex>
#include <set>

namespace hubgate {

class LocalAuthority final : public Authority {
public:
  /// Whose verdicts are kept and found.
  struct Scope {
    std::string repo; ///< canonical name
    /// Who says that this is the repository: an account and its path. One can't vouch for what
    /// another has. "" = this account.
    std::string vouched_by;
    Analyst::Owner owner = Analyst::Owner::trusted;
  };

  LocalAuthority(Gatekeeper& keeper, Analyst& analyst, Scope scope);

  Capacity capacity() const override;
  void analyse_batch(Fd memory, std::vector<BatchItem> items, Done done) override;
  void analyse_file(Fd file, std::optional<ObjectDigest> computed, Done done) override;
  Report analyse_code(const python::BundleWriter& bundle, double seconds) override;
  Result<std::vector<std::optional<Report>>> known(const std::vector<ObjectKey>& objects) override;

  Policy policy() const override { return policy_; }
  Result<std::vector<Decision>> decide(const std::vector<Gatekeeper::Case>& cases) override;
  Result<void> quarantine(const Decision& decision, const Context& context, Fd file) override;
  Result<void> event(std::string_view what, const boost::json::object& fields) override;

  bool is_judged(const git::Oid& oid, std::string_view terms) override;
  std::optional<Report> tree_verdict(const git::Oid& root) override;
  Result<void> remember(const std::vector<TreeVerdict>& trees,
                        const std::vector<Judgement>& judged) override;
  bool goes_on() const override { return false; }

private:
  std::string judged_key(const git::Oid& oid, std::string_view terms) const;
  std::string tree_record_key(const git::Oid& root) const;

  Gatekeeper& keeper_;
  Analyst& analyst_;
  Scope scope_;
  std::string rules_; ///< when the push began; records of other ones are not kept
  Policy policy_;     ///< as it was when the push began: what it judged by holds for its records
  std::mutex mutex_;
  std::optional<std::set<std::string>> waivers_; ///< ids of those that hold now
  /// Waivers without which this push, or what it builds on, would not pass.
  std::set<std::string> leaned_on_;
};

} // namespace hubgate
