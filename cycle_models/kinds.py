# SPDX-License-Identifier: MIT
"""The timing class of each Thumb instruction, by its name."""

from __future__ import annotations

import capstone
from capstone import arm


def words(text: str) -> frozenset[str]:
    """The words of `text` as a set."""
    return frozenset(text.split())


ALIASES = {"movs": "mov", "rsbs": "rsb", "subs": "sub", "adds": "add"}
_SHIFTS = frozenset({"lsl", "lsr", "asr", "ror", "rrx"})
_SIMD = frozenset(
    prefix + operation + suffix
    for prefix in ("s", "u", "q", "uq", "sh", "uh")
    for operation, suffixes in (("add", "8 16"), ("sub", "8 16"), ("as", "x"), ("sa", "x"))
    for suffix in suffixes.split()
)
COMPARE = frozenset({"cmp", "cmn", "tst", "teq"})
_BITFIELD = words("bfi bfc ubfx sbfx clz rbit rev rev16 revsh")
_EXTEND = words("sxtb sxth uxtb uxth sxtb16 uxtb16")
_EXTEND_ADD = words("sxtab sxtah uxtab uxtah sxtab16 uxtab16")
_SATURATE = words("ssat usat ssat16 usat16 qadd qsub qdadd qdsub usad8 usada8")
_MULTIPLY = words(
    "mul smulbb smulbt smultb smultt smulwb smulwt smuad smuadx smusd smusdx smmul smmulr"
)
_ACCUMULATE = words(
    "mla mls smlabb smlabt smlatb smlatt smlawb smlawt smlad smladx smlsd smlsdx "
    "smmla smmlar smmls smmlsr"
)
_LONG = words("umull smull")
_LONG_ACCUMULATE = words(
    "umlal smlal umaal smlalbb smlalbt smlaltb smlaltt smlald smlaldx smlsld smlsldx"
)
_FP_MAC = words("vfma vfms vfnma vfnms vmla vmls vnmla vnmls")
_FP_CONVERT = words(
    "vcvt vcvtb vcvtt vcvtr vcvta vcvtn vcvtp vcvtm "
    "vrinta vrintn vrintp vrintm vrintz vrintr vrintx"
)
_LOAD = {"ldr": 4, "ldrb": 1, "ldrsb": 1, "ldrh": 2, "ldrsh": 2, "ldrt": 4, "ldrbt": 1, "ldrht": 2,
         "ldrex": 4, "ldrexb": 1, "ldrexh": 2, "lda": 4, "ldab": 1, "ldah": 2}  # fmt: skip
_STORE = {"str": 4, "strb": 1, "strh": 2, "strt": 4, "strbt": 1, "strht": 2,
          "stl": 4, "stlb": 1, "stlh": 2}  # fmt: skip
STORE_EXCLUSIVE = {"strex": 4, "strexb": 1, "strexh": 2}
_LOAD_MULTIPLE = words("ldm ldmdb ldmia pop vldmia vldmdb vpop fldmdbx fldmiax")
_STORE_MULTIPLE = words("stm stmdb stmia push vstmia vstmdb vpush fstmdbx fstmiax")
_BARRIER = frozenset({"dsb", "dmb", "isb"})
NO_RESULT = words(
    "fp_compare compare_branch branch indirect table preload call system fp_status barrier"
)
MULTIPLIES = words("multiply accumulate long_multiply long_accumulate")
MULTIPLE = words("load_multiple store_multiple load_double store_double")
FP_ARITHMETIC = words("fp_add fp_multiply fp_mac fp_divide fp_root fp_compare fp_convert")
BRANCHES = words("branch compare_branch call indirect table")


def kind_of(raw: capstone.CsInsn, name: str) -> str:
    """The class of an instruction: one of those that `decode.Instruction` lists."""
    for group, kind in _GROUPS:
        if name in group:
            return kind
    if name in ("add", "sub", "mov") and raw.operands and raw.operands[0].type == arm.ARM_OP_REG:
        return "indirect" if raw.reg_name(raw.operands[0].reg) == "pc" else "alu"
    if name in ("vldr", "vstr"):
        return "load" if name == "vldr" else "store"
    if name in ("vmov", "fconsts", "fconstd"):
        return _fp_move(raw)
    if name in ("vmrs", "vmsr", "fmstat", "fmxr", "fmrx"):
        return "fp_status"
    if name.startswith("vsel") or name in ("vmaxnm", "vminnm"):
        return "fp_add"
    if name in _SIMD:
        return "simd"
    return "alu" if name in _ALU else "other"


_ALU = words("add sub rsb adc sbc and orr eor bic orn mvn mov movt adr neg addw subw movw")
_GROUPS: tuple[tuple[frozenset[str] | dict[str, int], str], ...] = (
    (_SHIFTS, "shift"),
    (COMPARE, "alu"),
    (_BITFIELD, "bitfield"),
    (_EXTEND, "extend"),
    (_EXTEND_ADD, "extend_add"),
    (_SATURATE, "saturate"),
    (_MULTIPLY, "multiply"),
    (_ACCUMULATE, "accumulate"),
    (_LONG, "long_multiply"),
    (_LONG_ACCUMULATE, "long_accumulate"),
    (frozenset({"sdiv", "udiv"}), "divide"),
    (frozenset({"pkhbt", "pkhtb", "sel"}), "simd"),
    (_LOAD, "load"),
    (_STORE, "store"),
    (STORE_EXCLUSIVE, "store"),
    (frozenset({"ldrd"}), "load_double"),
    (frozenset({"strd"}), "store_double"),
    (_LOAD_MULTIPLE, "load_multiple"),
    (_STORE_MULTIPLE, "store_multiple"),
    (frozenset({"b"}), "branch"),
    (frozenset({"cbz", "cbnz"}), "compare_branch"),
    (frozenset({"bl"}), "call"),
    (frozenset({"bx", "blx", "bxns", "blxns"}), "indirect"),
    (frozenset({"tbb", "tbh"}), "table"),
    (frozenset({"it"}), "it"),
    (frozenset({"nop", "yield"}), "nop"),
    (_BARRIER, "barrier"),
    (frozenset({"mrs", "msr", "cps", "svc", "bkpt", "wfi", "wfe", "sev", "udf"}), "system"),
    (frozenset({"pld", "pldw", "pli"}), "preload"),
    (frozenset({"vadd", "vsub", "vabs", "vneg"}), "fp_add"),
    (frozenset({"vmul", "vnmul"}), "fp_multiply"),
    (_FP_MAC, "fp_mac"),
    (frozenset({"vdiv"}), "fp_divide"),
    (frozenset({"vsqrt"}), "fp_root"),
    (frozenset({"vcmp", "vcmpe"}), "fp_compare"),
    (_FP_CONVERT, "fp_convert"),
)


def _fp_move(raw: capstone.CsInsn) -> str:
    names = [raw.reg_name(o.reg) for o in raw.operands if o.type == arm.ARM_OP_REG]
    core = [n[0] not in "sd" or n == "sp" for n in names]
    if len(names) == 1:
        return "fp_constant"
    if core[0]:
        return "fp_to_core"
    return "core_to_fp" if any(core) else "fp_move"


def access_bytes(name: str, kind: str) -> int:
    """How many bytes one access takes; 0 for what is no access."""
    if name in _LOAD:
        return _LOAD[name]
    if name in _STORE:
        return _STORE[name]
    if name in STORE_EXCLUSIVE:
        return STORE_EXCLUSIVE[name]
    if kind in ("load_double", "store_double"):
        return 8
    if kind in ("load", "store", "load_multiple", "store_multiple"):
        return 4
    return 0
