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
.elseif WHAT == 3               @ says hello through a ring, and says each typed byte again, plus one
    ldr r1, =block              @ its table of rings is put into the RAM last, its name first of all
    ldr r2, =0x20000200
    movs r3, #72
2:  subs r3, #4
    ldr r4, [r1, r3]
    str r4, [r2, r3]
    bne 2b
    ldr r0, =0x20000200
3:  ldr r1, [r0, #64]           @ typed: written up to, read up to
    ldr r2, [r0, #60]
    cmp r1, r2
    beq 3b
    ldr r3, =0x20000380
    ldrb r4, [r3, r1]
    adds r4, #1
    adds r1, #1
    movs r5, #15
    ands r1, r5
    str r1, [r0, #64]
    ldr r1, [r0, #36]           @ said: written up to
    ldr r3, =0x20000300
    strb r4, [r3, r1]
    adds r1, #1
    movs r5, #63
    ands r1, r5
    str r1, [r0, #36]
    b 3b
    .ltorg
    .balign 16
block:
    .ascii "SEGGER RTT"
    .balign 16, 0
    .word 1, 1
    .word 0, 0x20000300, 64, 0, 0, 0
    .word 0, 0x20000380, 16, 0, 0, 0
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
