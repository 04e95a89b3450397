#pragma once
// What the hdf5 format can find; README.md lists the same.
#include "scanner/core/format.hpp"

#include <array>

namespace hubgate::hdf5 {

inline constexpr std::array<Rule, 15> k_rules{{
    {"hdf5-external-storage", "reference", Severity::malicious, Reach::load, "CWE-73",
     "AML.T0011.000", "KER-011 DAT-013",
     "a dataset takes its bytes from another file of whoever opens it"},
    {"hdf5-external-link", "reference", Severity::malicious, Reach::load, "CWE-73", "AML.T0011.000",
     "KER-012 DAT-013", "a link leads into another file of whoever opens it"},
    {"hdf5-user-link", "reference", Severity::suspicious, Reach::load, "CWE-470", "AML.T0011.000",
     "KER-012 DAT-013", "a link of a type that only an added library understands"},
    {"hdf5-soft-link", "reference", Severity::informational, Reach::load, "CWE-59", "AML.T0011.000",
     "KER-012 DAT-013", "a link by path to another place of the file"},
    {"hdf5-virtual-dataset", "reference", Severity::malicious, Reach::load, "CWE-73",
     "AML.T0011.000", "KER-013 DAT-013", "a dataset is put together from other files"},
    {"hdf5-filter", "code", Severity::suspicious, Reach::load, "CWE-427", "AML.T0011.000",
     "KER-014 DAT-013", "to read a dataset, a filter library that nobody registered is loaded"},
    {"hdf5-plugin-filter", "code", Severity::informational, Reach::load, "CWE-427", "AML.T0011.000",
     "KER-014 DAT-013", "to read a dataset, a registered filter has to be installed"},
    {"hdf5-shape-bomb", "bomb", Severity::suspicious, Reach::load, "CWE-409", "AML.T0029",
     "KER-015 DAT-013", "a dataset declares far more data than the file holds"},
    {"hdf5-user-block", "structure", Severity::suspicious, Reach::data, "CWE-436", "AML.T0076",
     "KER-016 DAT-013", "bytes that HDF5 does not look at stand in front of the file"},
    {"hdf5-second-superblock", "structure", Severity::suspicious, Reach::load, "CWE-436",
     "AML.T0076", "KER-016 DAT-013", "a second file begins where readers may look for the first"},
    {"hdf5-driver", "structure", Severity::suspicious, Reach::load, "CWE-73", "AML.T0076",
     "KER-016 DAT-013", "the file asks for a driver that spreads it over other files"},
    {"hdf5-structure", "structure", Severity::suspicious, Reach::load, "CWE-20", "AML.T0076",
     "KER-016 DAT-013", "the file's structures contradict themselves"},
    {"hdf5-overlap", "structure", Severity::suspicious, Reach::load, "CWE-436", "AML.T0076",
     "KER-016 DAT-013", "the same bytes serve two structures"},
    {"hdf5-matlab-object", "code", Severity::suspicious, Reach::load, "CWE-502", "AML.T0011.000",
     "RTF-015", "a MATLAB function or object whose code runs when the file is loaded"},
    {"hdf5-julia-type", "code", Severity::suspicious, Reach::load, "CWE-502", "AML.T0011.000",
     "RTF-016", "a Julia type that carries code"},
}};

inline constexpr const Rule& k_external_storage = k_rules[0];
inline constexpr const Rule& k_external_link = k_rules[1];
inline constexpr const Rule& k_user_link = k_rules[2];
inline constexpr const Rule& k_soft_link = k_rules[3];
inline constexpr const Rule& k_virtual = k_rules[4];
inline constexpr const Rule& k_filter = k_rules[5];
inline constexpr const Rule& k_plugin_filter = k_rules[6];
inline constexpr const Rule& k_shape_bomb = k_rules[7];
inline constexpr const Rule& k_user_block = k_rules[8];
inline constexpr const Rule& k_second = k_rules[9];
inline constexpr const Rule& k_driver_rule = k_rules[10];
inline constexpr const Rule& k_structure = k_rules[11];
inline constexpr const Rule& k_overlap = k_rules[12];
inline constexpr const Rule& k_matlab = k_rules[13];
inline constexpr const Rule& k_julia = k_rules[14];

} // namespace hubgate::hdf5
