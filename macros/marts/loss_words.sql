{# The sentences of marts.decision_cards on rows that lack a value, as SQL over the columns of decision_losses. #}

{% macro card_losses_reading() -%}
    case
        when share_lost is not null then {{ cqox.as_percent('share_lost') }} || ' of the rows lack a value'
        else
            {{ cqox.as_percent('share_lost_untreated') }}
            || case when estimand = 'LATE' then ' of those with the instrument at 0 and ' else ' of the untreated and ' end
            || {{ cqox.as_percent('share_lost_treated') }}
            || case when estimand = 'LATE' then ' of those with it at 1' else ' of the treated' end
            || ' lack a value'
            || case
                when loss_p is null then ' (too few clusters to tell whether that differs)'
                when loss_p < 0.001 then ' (p < 0.001)'
                else ' (p = ' || {{ cqox.format_number('loss_p', 3) }} || ')'
            end
    end
    || case
        when lee_low is not null
            then '; on those whom neither arm would lose, the bounds of the effect are '
                || {{ cqox.as_interval('lee_low', 'lee_high') }} || ', and their 95 % interval is '
                || {{ cqox.as_interval('lee_conf_low', 'lee_conf_high') }}
        when unbounded_reason is not null then '; it is not bounded what that does to the effect: ' || unbounded_reason
        else ''
    end
{%- endmacro %}

{# A caveat where the arms lost different shares, and where the lost rows could turn the answer. #}
{% macro card_losses_caveat() -%}
    case
        when losses_reading is null or not (is_loss_differential or is_turned_by_losses) then null
        when decided_by = 'losses' then losses_reading
        when design = 'experiment' and lee_low is not null
            then losses_reading || ': they do not turn the answer'
        else losses_reading || ': whoever is missing may have responded otherwise'
    end
{%- endmacro %}
