@ Programs for the chip of the tests: one file, of which `WHAT` chooses one.
    .syntax unified
    .thumb

    .word 0x20004000            @ stack
    .word reset + 1
    .word 0
    .word fault + 1             @ HardFault
    .fill 44, 4, 0

reset:
    ldr r0, =0x20000100
    ldr r1, =MARK
    str r1, [r0]
.if WHAT == 1                   @ counts
1:  ldr r2, [r0, #4]
    adds r2, #1
    str r2, [r0, #4]
    b 1b
.else                           @ ends in a fault, with its arguments on the stack
    ldr r3, =0xdeadbee0
    push {r3}
    ldr r2, =0x12345678
    .globl culprit
culprit:
    udf #7
.endif
    .globl fault
fault:
    b fault
    .ltorg
    .balign 4
.if WHAT == 1                   @ so that it fills several pages
    .set at, 0
    .rept 2048
    .word 0x9e3779b1 * (at + MARK) & 0xffffffff
    .set at, at + 1
    .endr
.endif
