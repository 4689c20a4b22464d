def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design(
        "framing",
        dbt.config.meta_get("study"),
        units=dbt.ref("framing_units"),
        session=session,
        scores=dbt.ref("framing_scores"),
    )
