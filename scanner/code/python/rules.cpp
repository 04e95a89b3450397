#include "scanner/code/python/rules.hpp"

#include "scanner/code/python/analyse.hpp"

#include <array>

namespace hubgate::python {
namespace {

constexpr auto k_malicious = Severity::malicious;
constexpr auto k_suspicious = Severity::suspicious;
constexpr auto k_informational = Severity::informational;

constexpr std::array<Rule, static_cast<std::size_t>(R::count)> k_rules{{
    {"python-remote-control", "remote-control", k_malicious, Reach::load, "CWE-506",
     "AML.T0011.000", "CNT-005", "somebody elsewhere gets to run commands on this machine"},
    {"python-theft", "theft", k_malicious, Reach::load, "CWE-506", "AML.T0055", "CNT-004 CNT-007",
     "credentials or private data are sent away"},
    {"python-reconnaissance", "reconnaissance", k_suspicious, Reach::load, "CWE-506",
     "AML.T0011.000", "CNT-009", "facts about the machine are sent away"},
    {"python-execution", "execution", k_malicious, Reach::load, "CWE-94", "AML.T0011.000",
     "CFG-027 DAT-001", "code that was downloaded or hidden by an encoding is run"},
    {"python-download-run", "execution", k_malicious, Reach::load, "CWE-494", "AML.T0011.000",
     "CFG-027", "a file is downloaded and run"},
    {"python-shellcode", "execution", k_malicious, Reach::load, "CWE-506", "AML.T0011.000",
     "CFG-027", "machine code is put into memory and started"},
    {"python-persistence", "persistence", k_malicious, Reach::load, "CWE-506", "AML.T0011.000",
     "CFG-027", "makes something run again later, at a login or a start"},
    {"python-destruction", "destruction", k_malicious, Reach::load, "CWE-506", "AML.T0011.000",
     "CNT-004", "other people's files are encrypted or deleted"},
    {"python-propagation", "propagation", k_malicious, Reach::load, "CWE-506", "AML.T0011.000",
     "CNT-006", "copies itself into repositories with the login that it finds"},
    {"python-miner", "execution", k_malicious, Reach::load, "CWE-506", "AML.T0034", "CNT-008",
     "mines cryptocurrency"},
    {"python-evasion", "execution", k_suspicious, Reach::load, "CWE-506", "AML.T0011.000",
     "CFG-027", "looks for analysis tools and virtual machines before it runs something"},
    {"python-hidden-call", "execution", k_malicious, Reach::load, "CWE-506", "AML.T0011.000",
     "CFG-028", "the name of a function that runs code or commands is put together out of pieces"},
    {"python-hidden-source", "deception", k_suspicious, Reach::load, "CWE-1007", "AML.T0011.000",
     "CFG-028", "the source reads differently to a person than to Python"},
    {"python-hidden-code", "execution", k_suspicious, Reach::load, "CWE-506", "AML.T0011.000",
     "CFG-028", "code is put together out of character codes and run"},
    {"python-beacon", "reconnaissance", k_suspicious, Reach::load, "CWE-506", "AML.T0011.000",
     "CNT-009", "calls a host that only serves to see who calls"},
    {"python-command", "code", k_informational, Reach::load, "", "", "", "runs a command"},
    {"python-install-hook", "execution", k_suspicious, Reach::load, "CWE-506", "AML.T0010.001",
     "CFG-019", "runs something of its own when the package is installed"},
    {"python-entry-point", "code", k_informational, Reach::load, "", "AML.T0011.000",
     "CFG-014 CFG-015 DAT-001", "a loader runs this code"},
    {"python-proof-of-concept", "proof-of-concept", k_malicious, Reach::load, "CWE-506",
     "AML.T0011.000", "CFG-027 PKL-001",
     "shows that it can run code here: opens a calculator or a video, asks who runs it, leaves a "
     "note"},
}};

} // namespace

const Rule& rule(R id) {
  return k_rules[static_cast<std::size_t>(id)];
}

std::span<const Rule> python_rules() {
  return k_rules;
}

} // namespace hubgate::python
