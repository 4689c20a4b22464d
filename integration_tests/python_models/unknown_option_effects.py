def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "unknown_option",
        dbt.config.meta_get("study"),
        units=dbt.ref("unknown_option_units"),
        scores=dbt.ref("unknown_option_scores"),
        gates=dbt.ref("unknown_option_gates"),
        session=session,
    )
